"""Payments: a certificate pays for goods - look, hold, capture - and what was returned goes back onto it.

echo '{"number": "…", "cvc": "…"}' | python payments.py
"""

import json
import sys

from partner import Api, RefusedError, Topic, fresh, now, until

CHANNEL, PRICE = "pos", {"amount": 60_000, "currency": "RUB"}


def hold(api: Api, card: dict, order_id: str) -> dict:
    """The key is required, and never forgotten: after a 503 or a lost answer the same call says what became of it."""
    asked = {"channel": CHANNEL, **card, "amount": PRICE, "orderId": order_id}
    return api.call("POST", "/redemptions", key=order_id, json=asked)


def payment(redemption: dict, event_type: str, **ids: str) -> dict:
    """A payment with the certificate as its tender names certificate and redemption."""
    order_id = redemption["orderId"]
    return {
        "eventId": fresh("pay"),
        "eventType": event_type,
        "occurredAt": now(),
        "channel": CHANNEL,
        "orderId": order_id,
        "paymentId": f"P-{order_id}",
        "tender": "giftCertificate",
        **PRICE,
        "certificateId": redemption["certificateId"],
        "redemptionId": redemption["redemptionId"],
        **ids,
    }


def main() -> None:
    card, api, order_id, topic = json.load(sys.stdin), Api(), fresh("POS"), Topic("All_Payments")
    print(json.dumps(api.call("POST", "/certificates/verify", json={"channel": CHANNEL, **card})))
    try:
        held = hold(api, card, order_id)
    except (
        RefusedError
    ) as refusal:  # insufficient-balance, not-active, refund-in-progress, credentials-rejected
        sys.exit(f"take other means: {refusal}")
    path = f"/redemptions/{held['redemptionId']}"
    topic.send(order_id, payment(held, "payment.captured", captureId=f"P-{order_id}-1"))
    spent = until(lambda: (found := api.call("GET", path))["status"] == "captured" and found)
    topic.send(order_id, payment(held, "payment.refunded", refundId=f"R-{order_id}"))
    back = until(lambda: (found := api.call("GET", path))["restored"] == found["spent"] and found)
    print(
        json.dumps(
            {
                "held": held["held"],
                "spent": spent["spent"],
                "restored": back["restored"],
                "balance": back["balance"],
            }
        )
    )


if __name__ == "__main__":
    main()
