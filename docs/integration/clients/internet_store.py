"""Internet store: reserve a certificate, order it with an article, take the money, see it issued.

python internet_store.py
"""

import json

from partner import Api, Topic, fresh, now, until

CHANNEL, PRODUCT, ARTICLE = "im", "GC-5000", 250_000  # minor units: 2,500.00 RUB


def reserve(api: Api, basket: str) -> dict:
    """The key makes a repeat harmless: one basket gets one certificate, however often the call is made."""
    asked = {"channel": CHANNEL, "product": PRODUCT}
    return api.call("GET", "/certificates/next", key=basket, params=asked)


def order_created(order_id: str, reservation: dict) -> dict:
    price = reservation["nominal"]["amount"]
    return {
        "eventId": fresh("so"),
        "eventType": "order.created",
        "occurredAt": now(),
        "channel": CHANNEL,
        "orderId": order_id,
        "orderVersion": 1,
        "customerId": "C-77",
        "currency": reservation["nominal"]["currency"],
        "total": ARTICLE + price,
        "lines": [
            {"lineId": "1", "kind": "goods", "sku": "TV-42", "quantity": 1, "amount": ARTICLE},
            {
                "lineId": "2",
                "kind": "giftCertificate",
                "certificateId": reservation["certificateId"],
                "reservationId": reservation["reservationId"],
                "amount": price,
                "recipient": {"ref": "R-5", "channel": "email", "locale": "en-GB"},
            },
        ],
    }


def payment_captured(order: dict) -> dict:
    """All of the order's money in one capture."""
    return {
        "eventId": fresh("pay"),
        "eventType": "payment.captured",
        "occurredAt": now(),
        "channel": CHANNEL,
        "orderId": order["orderId"],
        "paymentId": f"P-{order['orderId']}",
        "captureId": f"P-{order['orderId']}-1",
        "tender": "card",
        "amount": order["total"],
        "currency": order["currency"],
    }


def main() -> None:
    api, order_id = Api(), fresh("IM")
    reservation = reserve(api, order_id)
    order = order_created(order_id, reservation)
    Topic("All_SalesOrder").send(order_id, order)
    Topic("All_Payments").send(order_id, payment_captured(order))
    path = f"/certificates/{reservation['certificateId']}"
    certificate = until(lambda: (found := api.call("GET", path))["status"] == "issued" and found)
    print(json.dumps({name: certificate[name] for name in ("certificateId", "orderId", "status", "balance")}))


if __name__ == "__main__":
    main()
