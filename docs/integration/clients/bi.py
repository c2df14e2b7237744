"""BI: read the whole stream into a table, each event once, and go on after any crash where the table ends.

python bi.py FILE.db [MOST]    reads to the present end, or so many messages
"""

import itertools
import json
import sqlite3
import sys

from partner import read_stream

TABLES = """
CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY, event_type TEXT, certificate_id TEXT, sequence INTEGER, occurred_at TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS places (partition INTEGER PRIMARY KEY, next INTEGER);
"""
# Of the newest event of each certificate; blocked and refunds do not change what it is worth.
LIABILITY = """
SELECT coalesce(sum(body ->> '$.balance.amount' + body ->> '$.held.amount'), 0) FROM events AS newest
WHERE sequence = (SELECT max(sequence) FROM events WHERE certificate_id = newest.certificate_id)
"""


def main(file: str, most: int | None) -> None:
    table = sqlite3.connect(file)
    table.executescript(TABLES)
    places = dict(table.execute("SELECT partition, next FROM places"))
    new = repeats = 0
    for message in itertools.islice(read_stream(offsets=places), most):
        event = json.loads(message.value())
        row = [event[name] for name in ("eventId", "eventType", "certificateId", "sequence", "occurredAt")]
        with table:  # event and place in one transaction: neither is ever there without the other
            stored = table.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [*row, message.value().decode()],
            )
            place = (message.partition(), message.offset() + 1)
            table.execute("INSERT OR REPLACE INTO places VALUES (?, ?)", place)
        new += stored.rowcount
        repeats += 1 - stored.rowcount
    [(liability,)] = table.execute(LIABILITY)
    [(count,)] = table.execute("SELECT count(*) FROM events")
    print(json.dumps({"new": new, "repeats": repeats, "events": count, "liability": liability}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
