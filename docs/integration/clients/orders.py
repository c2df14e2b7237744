"""Orders: publish the versions of an order - placed, a certificate exchanged, a line cancelled - and read the answer.

python orders.py    with a token of the role channel, as this file plays the store too
"""

import json

from partner import Api, Topic, fresh, now, read_stream

CHANNEL, PRODUCT = "im", "GC-1000"


def message(order_id: str, version: int, event_type: str, **said: object) -> dict:
    """Each message has the next version; a lower one than was seen is stale."""
    about = {"eventId": fresh("so"), "eventType": event_type, "occurredAt": now(), "channel": CHANNEL}
    return about | {"orderId": order_id, "orderVersion": version} | said


def stated(lines: list[dict]) -> dict:
    """order.created and order.changed carry the whole order as it now is."""
    total = sum(line["amount"] for line in lines)
    return {"customerId": "C-77", "currency": "RUB", "total": total, "lines": lines}


def line(line_id: str, reservation: dict) -> dict:
    return {
        "lineId": line_id,
        "kind": "giftCertificate",
        "certificateId": reservation["certificateId"],
        "reservationId": reservation["reservationId"],
        "amount": reservation["nominal"]["amount"],
    }


def answers(order_id: str, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], dict]:
    """Read the stream until it says all that is wanted of an order; return the payloads."""
    found: dict[tuple[str, str], dict] = {}
    for record in read_stream(wait=30):
        event = json.loads(record.value())
        if event["payload"].get("orderId") == order_id:
            found[event["eventType"], event["certificateId"]] = event["payload"]
        if wanted <= found.keys():
            return found
    raise TimeoutError(f"no answer to order {order_id}")


def main() -> None:
    asked = {"channel": CHANNEL, "product": PRODUCT, "quantity": 3}
    reservations = Api().call("POST", "/reservations", key=fresh("basket"), json=asked)
    first, second, third = (one["certificateId"] for one in reservations)
    lines = [line(str(nth), one) for nth, one in enumerate(reservations[:2], 1)]
    order_id, orders = fresh("IM"), Topic("All_SalesOrder")
    orders.send(order_id, message(order_id, 1, "order.created", **stated(lines)))
    answers(order_id, {("issue.ordered", first), ("issue.ordered", second)})
    # Line 2 gets another certificate; what was paid for the line would stay with the line.
    lines[1] = line("2", reservations[2])
    orders.send(order_id, message(order_id, 2, "order.changed", **stated(lines)))
    # Cancelled is for good: a line that comes back gets a new lineId.
    orders.send(order_id, message(order_id, 3, "order.cancelled", lines=[{"lineId": "1"}]))
    cancelled, removed, ordered = (
        ("issue.released", first),
        ("issue.released", second),
        ("issue.ordered", third),
    )
    news = answers(order_id, {cancelled, removed, ordered})
    print(json.dumps({"cancelled": news[cancelled], "removed": news[removed], "ordered": news[ordered]}))


if __name__ == "__main__":
    main()
