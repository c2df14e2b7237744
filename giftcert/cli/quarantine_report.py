"""Reports of quarantined records, for people and for programs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from giftcert.cli.errors import CommandError
from giftcert.cli.tables import as_text
from giftcert.cli.timeline import stamp
from giftcert.storage.quarantine import ListedRecord, Place, StoredRecord
from kafka_ingest.records import InputRecord
from kafka_ingest.replay import Replayed, read_now
from kafka_ingest.transaction import IngestRules


def position(place: Place) -> str:
    """Return a place as people write it."""
    return "/".join(map(str, place))


def place_at(text: str) -> Place:
    """Return the place that ``TOPIC/PARTITION/OFFSET`` names.

    Raises:
        CommandError: it names none.
    """
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise CommandError(f"{text} is no position: write TOPIC/PARTITION/OFFSET")
    return topic, int(partition), int(offset)


def listed(record: ListedRecord) -> dict[str, Any]:
    """Return a line of the list for programs."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": record.reason,
        "detail": record.detail,
        "quarantinedAt": stamp(record.quarantined_at),
        "closedAt": stamp(record.closed_at),
        "closedHow": record.closed_how,
    }


def table(records: Sequence[ListedRecord]) -> str:
    """Return a page of the list for people."""
    columns = ("position", "since", "what is wrong")
    rows = [
        (
            position(one.place),
            stamp(one.quarantined_at) or "",
            f"{one.reason}: {one.detail}"
            + (f"; {_closed(one.closed_at, one.closed_how)}" if one.closed_at else ""),
        )
        for one in records
    ]
    return as_text(columns, rows)


def described(stored: StoredRecord, record: InputRecord, rules: IngestRules) -> tuple[dict[str, Any], str]:
    """Return what is known of a record besides its content, for programs and for people."""
    now = read_now(record, rules)
    good = isinstance(now, str)
    words = now if isinstance(now, str) else f"{now.reason}: {now.detail}"
    data = {
        "position": position(stored.record.place),
        "reason": stored.record.reason,
        "detail": stored.record.detail,
        "quarantinedAt": stamp(stored.quarantined_at),
        "closedAt": stamp(stored.closed_at),
        "closedHow": stored.closed_how,
        "writtenAt": stamp(stored.record.written_at),
        "readsNow": good,
        "readsAs": words,
        "keyBytes": len(record.key or b""),
        "valueBytes": len(record.value or b""),
    }
    text = (
        f"{data['position']}: {data['reason']}: {data['detail']}\n"
        f"  in quarantine since {data['quarantinedAt']}, {_closed(stored.closed_at, stored.closed_how) or 'open'}\n"
        f"  now {'it reads well' if good else 'it is still bad'}: {words}\n"
        f"  key {data['keyBytes']} bytes, value {data['valueBytes']} bytes"
    )
    return data, text


def _closed(at: datetime | None, how: str | None) -> str:
    return f"{how} {stamp(at)}" if at else ""


def revealed(record: InputRecord) -> tuple[dict[str, Any], str]:
    """Return the original of a record, for programs and for people."""
    data = {
        name: None
        if content is None
        else {"text": _shown(content), "base64": base64.b64encode(content).decode()}
        for name, content in (("key", record.key), ("value", record.value))
    }
    text = (
        "\n  the original, which may hold personal data; that you saw it is recorded:"
        f"\n  key   {_shown(record.key)}\n  value {_shown(record.value)}"
    )
    return data, text


def _shown(content: bytes | None) -> str:
    """Text as it stands, but for what a terminal would obey instead of showing."""
    if content is None:
        return "none"
    text = content.decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


@dataclass(slots=True)
class Tally:
    """What came of a replay; of records that are still bad the first so many are told one by one."""

    most_told: int
    applied: int = 0
    still_bad: int = 0
    told: list[Replayed] = field(default_factory=list)

    def add(self, outcome: Replayed) -> None:
        """Count the outcome of one record."""
        if outcome.is_applied:
            self.applied += 1
            return
        self.still_bad += 1
        if len(self.told) < self.most_told:
            self.told.append(outcome)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        told = [
            {"position": position(one.place), "reason": one.reason, "detail": one.detail} for one in self.told
        ]
        return {"applied": self.applied, "stillBad": self.still_bad, "reasons": told}

    def as_text(self) -> str:
        """Return it for people."""
        lines = [f"{position(one.place)} is still bad: {one.reason}: {one.detail}" for one in self.told]
        return "\n".join([*lines, f"{self.applied} applied, {self.still_bad} still bad"])
