"""Reports of quarantined records, for people and for programs."""

import base64
from collections.abc import Sequence
from typing import Any

from giftcert.cli.errors import CommandError
from giftcert.cli.output import stamp, table
from giftcert.storage.quarantine import ListedRecord, Place, StoredRecord
from kafka_ingest.records import InputRecord
from kafka_ingest.replay import Replayed, read_now
from kafka_ingest.transaction import IngestRules

NAMED_BAD = 100
"""Records that a replay names as still bad; more are counted."""


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


def listed(page: Sequence[ListedRecord]) -> str:
    """Return a page of the list for people."""
    if not page:
        return "nothing lies in quarantine"
    rows = []
    for one in page:
        closed = f"; {_closed(one)}" if one.closed_at else ""
        since = stamp(one.quarantined_at) or ""
        rows.append((position(one.place), since, f"{one.reason}: {one.detail}{closed}"))
    return table(("position", "since", "what is wrong"), rows)


def described(stored: StoredRecord, record: InputRecord, rules: IngestRules) -> tuple[dict[str, Any], str]:
    """Return what is known of a record besides its content, for programs and for people."""
    now = read_now(record, rules)
    is_good = isinstance(now, str)
    reads_as = now if isinstance(now, str) else f"{now.reason}: {now.detail}"
    data = {
        "position": position(stored.record.place),
        "reason": stored.record.reason,
        "detail": stored.record.detail,
        "quarantinedAt": stamp(stored.quarantined_at),
        "closedAt": stamp(stored.closed_at),
        "closedHow": stored.closed_how,
        "writtenAt": stamp(stored.record.written_at),
        "readsNow": is_good,
        "readsAs": reads_as,
        "keyBytes": len(record.key or b""),
        "valueBytes": len(record.value or b""),
    }
    text = (
        f"{data['position']}: {data['reason']}: {data['detail']}\n"
        f"  in quarantine since {data['quarantinedAt']}, {_closed(stored) or 'open'}\n"
        f"  now {'it reads well' if is_good else 'it is still bad'}: {reads_as}\n"
        f"  key {data['keyBytes']} bytes, value {data['valueBytes']} bytes"
    )
    return data, text


def _closed(record: ListedRecord | StoredRecord) -> str:
    return f"{record.closed_how} {stamp(record.closed_at)}" if record.closed_at else ""


def revealed(record: InputRecord) -> tuple[dict[str, Any], str]:
    """Return the original of a record, for programs and for people."""
    data = {
        name: None
        if content is None
        else {"text": _printable(content), "base64": base64.b64encode(content).decode()}
        for name, content in (("key", record.key), ("value", record.value))
    }
    text = (
        "\n  the original, which may hold personal data; that you saw it is recorded:"
        f"\n  key   {_printable(record.key)}\n  value {_printable(record.value)}"
    )
    return data, text


def _printable(content: bytes | None) -> str:
    """Text as it stands, but for what a terminal would obey instead of showing."""
    if content is None:
        return "none"
    text = content.decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def replayed(applied: int, bad: Sequence[Replayed]) -> tuple[dict[str, Any], str]:
    """Return what came of a replay, for programs and for people; of records that are still bad the first are named."""
    named = [(position(one.place), one.reason, one.detail) for one in bad[:NAMED_BAD]]
    data = {
        "applied": applied,
        "stillBad": len(bad),
        "reasons": [{"position": at, "reason": reason, "detail": detail} for at, reason, detail in named],
    }
    lines = [f"{at} is still bad: {reason}: {detail}" for at, reason, detail in named]
    return data, "\n".join([*lines, f"{applied} applied, {len(bad)} still bad"])
