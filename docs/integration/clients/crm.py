"""CRM: read who is to be written to, fetch number and CVC, write to each client once, however often this is run.

python crm.py FOLDER    letters go to FOLDER/letters.jsonl in this example, and to the client in yours
"""

import json
import sqlite3
import sys
from pathlib import Path

from partner import Api, RefusedError, read_stream

TABLE = """
CREATE TABLE IF NOT EXISTS letters (
    notification_id TEXT PRIMARY KEY, certificate_id TEXT, asked TEXT, done INTEGER DEFAULT 0)
"""


def take_requests(letters: sqlite3.Connection) -> None:
    """Store what the stream asks for. Only then is it committed in the group, so nothing is lost or done twice."""
    for message in read_stream(group="crm-letters"):
        event = json.loads(message.value())
        if event["eventType"] == "notification.requested" and not event["payload"]["suppressed"]:
            row = (event["payload"]["notificationId"], event["certificateId"], json.dumps(event["payload"]))
            with letters:
                letters.execute("INSERT INTO letters VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING", row)


def letter(api: Api, notification_id: str, certificate_id: str, asked: dict) -> dict:
    query = {"purpose": "notification", "notificationId": notification_id}
    secrets = api.call("GET", f"/certificates/{certificate_id}/cvc", params=query)
    # The recipient of the order wins over the buyer's own settings.
    recipient = asked["recipient"] or {"ref": asked["customerId"], "channel": asked["preferredChannel"]}
    return secrets | {"to": recipient, "validUntil": asked["validUntil"]}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    api, letters = Api(), sqlite3.connect(folder / "crm.db")
    letters.execute(TABLE)
    take_requests(letters)
    waiting = letters.execute(
        "SELECT notification_id, certificate_id, asked FROM letters WHERE NOT done"
    ).fetchall()
    written = 0
    for notification_id, certificate_id, asked in waiting:
        try:
            text = letter(api, notification_id, certificate_id, json.loads(asked))
        except RefusedError as refusal:
            if refusal.name == "not-issued":
                continue  # blocked, or a refund is open: that may change, so the next run asks again
            if refusal.name != "not-active":
                raise
            text = None  # refunded, redeemed, expired: for good, there is nobody to write to any more
        if text is not None:
            with (folder / "letters.jsonl").open("a") as sent:
                sent.write(json.dumps(text) + "\n")
            written += 1
        with letters:
            letters.execute("UPDATE letters SET done = 1 WHERE notification_id = ?", (notification_id,))
    print(json.dumps({"written": written}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
