"""POS: a till that takes certificates to its shelf, sells while it is off-line, and sends its whole day, even twice.

python pos.py open FOLDER    on-line, in the morning: two certificates go to the shelf
python pos.py sell FOLDER    off-line: one of them is sold; order and payment go to the journal, nothing is sent
python pos.py send FOLDER    on-line again: the journal is sent, and may be sent again and again
"""

import json
import sys
from pathlib import Path

from partner import Api, Topic, fresh, now

CHANNEL, PRODUCT = "pos", "GC-1000"


def open_till(folder: Path) -> list[dict]:
    """Reserve for the day: all or none, one reservationId for each."""
    asked = {"channel": CHANNEL, "product": PRODUCT, "quantity": 2}
    shelf = Api().call("POST", "/reservations", key=fresh("till"), json=asked)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shelf.json").write_text(json.dumps(shelf))
    return shelf


def sell(folder: Path) -> dict:
    """Sell over the counter. Messages say when the sale was, however late they are sent."""
    shelf = json.loads((folder / "shelf.json").read_text())
    taken = shelf.pop()
    (folder / "shelf.json").write_text(json.dumps(shelf))
    order_id, price = fresh("POS"), taken["nominal"]
    about = {"occurredAt": now(), "channel": CHANNEL, "orderId": order_id, "currency": price["currency"]}
    order = about | {
        "eventType": "order.created",
        "orderVersion": 1,
        "customerId": "C-99",
        "total": price["amount"],
        "lines": [
            {
                "lineId": "1",
                "kind": "giftCertificate",
                "certificateId": taken["certificateId"],
                # The reservation may have expired by the time this is read. It still counts while nobody has the
                # certificate, and for 72 hours nobody gets it unless the pool is empty.
                "reservationId": taken["reservationId"],
                "amount": price["amount"],
            }
        ],
    }
    payment = about | {
        "eventType": "payment.captured",
        "paymentId": f"P-{order_id}",
        "captureId": f"P-{order_id}-1",
        "tender": "cash",
        "amount": price["amount"],
    }
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"order": order, "payment": payment}) + "\n")
    return {"orderId": order_id, "certificateId": taken["certificateId"]}


def send(folder: Path) -> dict:
    """Send the whole journal. A repeat has the same ids and versions, so new eventIds make no second sale."""
    orders, payments = Topic("All_SalesOrder"), Topic("All_Payments")
    sales = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    for sale in sales:
        order_id = sale["order"]["orderId"]
        orders.send(order_id, {"eventId": fresh("so"), **sale["order"]})
        payments.send(order_id, {"eventId": fresh("pay"), **sale["payment"]})
    return {"sent": len(sales)}


if __name__ == "__main__":
    act = {"open": open_till, "sell": sell, "send": send}[sys.argv[1]]
    print(json.dumps(act(Path(sys.argv[2]))))
