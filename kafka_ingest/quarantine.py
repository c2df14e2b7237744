"""Records that cannot be applied: what the stream says of them, what they name, and how they are kept, sealed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.malformed import MalformedRecord
from giftcert.contracts.notices import (
    CertificateUnknown,
    InputMalformed,
    InputUnexpected,
    ProcessingFailed,
    about_input,
    input_key,
)
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.redaction import redact_text
from giftcert.security.keyring import Keyring
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine import (
    NamedThings,
    QuarantinedRecord,
    QuarantineRepository,
    order_digest,
)
from kafka_ingest.records import InputRecord, KeptRecord, Topics, place_of, written_at

RejectionNotice: TypeAlias = InputMalformed | CertificateUnknown | InputUnexpected | ProcessingFailed

COMPONENT = "ingest"
EARLIER_IN_QUARANTINE, UNDECODABLE_BATCH, TOO_LARGE = "earlierInQuarantine", "undecodableBatch", "tooLarge"
KEPT_OF_TOO_LARGE = 65_536
"""Bytes kept of a record above the size limit."""
LONGEST_DETAIL = 500
MOST_NAMES = 10_000
"""Above so many names a record counts as one that cannot be searched."""
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record and its error event.

    ``contradiction``: what it is known by when it comes again. ``holds_back``: whether it forbids the release of what
    it names until it is replayed or dismissed; not where all else that it says was applied.
    """

    source: InputRecord
    notice: RejectionNotice
    channel: str | None = None
    cause: Cause | None = None
    contradiction: bytes | None = None
    holds_back: bool = True


def malformed(source: InputRecord, error: MalformedRecord) -> Rejection:
    """Return the rejection of a record that breaks its contract; its own event id was not checked, so none is told."""
    return Rejection(source, _malformed(source, error.reason, error.detail))


def too_large(source: InputRecord, limit: int) -> Rejection:
    """Return the rejection of a record that exceeds the size limit."""
    return Rejection(source, _malformed(source, TOO_LARGE, f"the record has more than {limit} bytes"))


def undecodable(source: InputRecord, error: str) -> Rejection:
    """Return the rejection of what stands for a batch that cannot be decoded."""
    return Rejection(source, _malformed(source, UNDECODABLE_BATCH, f"the batch cannot be decoded: {error}"))


def waits_for_earlier(source: InputRecord) -> Rejection:
    """Return the rejection of an order message that means nothing before an earlier one leaves quarantine."""
    detail = "an earlier message of this order is in quarantine; replay both once it is mended"
    return Rejection(source, _unexpected(source, None, EARLIER_IN_QUARANTINE, detail))


def contradiction(source: InputRecord, event_type: str, cause: Cause, digest: bytes) -> Rejection:
    """Return the rejection of a message that says something else than an earlier one of the same identity."""
    detail = f"another {event_type} of the same identity was received before, with other content"
    notice = _unexpected(source, cause, "contradictsEarlier", detail)
    return Rejection(source, notice, cause.channel, cause, digest)


def of_too_large_order(source: InputRecord, cause: Cause) -> Rejection:
    """Return the rejection of a version of an order above the bounds: whatever it names must not be sold again."""
    detail = "the order has more certificate lines or payments than can be decided"
    return Rejection(source, _unexpected(source, cause, "orderTooLarge", detail), cause.channel, cause)


def unknown_certificate(
    source: InputRecord, cause: Cause, detail: str, digest: bytes | None = None
) -> Rejection:
    """Return the rejection of a message that names a certificate we never made; all else in it was applied."""
    notice = CertificateUnknown(
        **_place(source), event_id=cause.event_id, reason="unknownCertificate", detail=_shortened(detail)
    )
    return Rejection(source, notice, cause.channel, cause, digest, holds_back=False)


def failed(source: InputRecord, error: Exception) -> Rejection:
    """Return the rejection of a record that made its transaction fail for its own sake.

    Only the kind of the error is told: its text may quote the record.
    """
    detail = type(getattr(error, "orig", None) or error).__name__
    notice = ProcessingFailed(
        **_place(source), event_id=None, reason="recordFails", detail=detail, component=COMPONENT
    )
    return Rejection(source, notice)


def _malformed(source: InputRecord, reason: str, detail: str) -> InputMalformed:
    return InputMalformed(**_place(source), event_id=None, reason=reason, detail=_shortened(detail))


def _unexpected(source: InputRecord, cause: Cause | None, reason: str, detail: str) -> InputUnexpected:
    event_id = cause.event_id if cause else None
    return InputUnexpected(**_place(source), event_id=event_id, reason=reason, detail=_shortened(detail))


def _place(source: InputRecord) -> dict[str, Any]:
    return {"topic": source.topic, "partition": source.partition, "offset": source.offset}


def _shortened(detail: str) -> str:
    return redact_text(detail).replace("\0", "")[:LONGEST_DETAIL]


# What a record names --------------------------------------------------------------------------------


def named_things(record: InputRecord, topics: Topics, keyring: Keyring) -> NamedThings:
    """Return all that a record may name, from the whole of its bytes, so that nothing of it is released meanwhile.

    Of a record of orders that is no JSON an id may be missing or broken, so it counts as one that cannot be searched.
    Payments concern what their key names, the order; clients nothing that is ever released.
    """
    if record.topic == topics.clients:
        return NamedThings()
    key = _text(record.key)
    texts, orders = _searched(record.value)
    if key:
        texts, orders = [*texts, key], [*orders, key]
    ids = dict.fromkeys(UUID(found) for text in texts for found in _UUID.findall(text))
    named = dict.fromkeys(orders)
    whole = record.value is None or _json(record.value) is not msgspec.UNSET
    searchable = whole or (record.topic == topics.payments and bool(key))
    return NamedThings(
        ids=tuple(ids)[:MOST_NAMES],
        orders=tuple(order_digest(keyring, order_id) for order_id in list(named)[:MOST_NAMES]),
        searchable=searchable and len(ids) <= MOST_NAMES and len(named) <= MOST_NAMES,
    )


def orders_named(record: InputRecord) -> list[str]:
    """Return the ids of the orders that a record may be about: its key, and whatever it calls an order id."""
    key = _text(record.key)
    return [*_searched(record.value)[1], *([key] if key else [])]


def _searched(value: bytes | None) -> tuple[list[str], list[str]]:
    """Return the texts of a value, and which of them are order ids."""
    if value is None:
        return [], []
    decoded = _json(value)
    if decoded is msgspec.UNSET:
        return [value.decode("latin-1")], []
    found = list(_walk("", decoded))
    orders = [text for name, text in found if name.replace("_", "").replace("-", "").lower() == "orderid"]
    return [text for _, text in found], orders


def _walk(name: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any decoded JSON
    """Yield every text with the name of its field; one level of a list or object at a time, however deep."""
    left = [(name, value)]
    while left:
        name, value = left.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            left += [(str(inner), one) for inner, one in value.items()]
            left += [("", str(inner)) for inner in value]
        elif isinstance(value, list):
            left += [(name, one) for one in value]
        elif isinstance(value, int):
            yield name, str(value)


def _json(value: bytes) -> Any:  # noqa: ANN401 - any decoded JSON
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.UNSET


def _text(key: bytes | None) -> str | None:
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None


# Keeping them ---------------------------------------------------------------------------------------


async def quarantine(
    connection: AsyncConnection,
    rejections: Sequence[Rejection],
    topics: Topics,
    keyring: Keyring,
    now: datetime,
) -> None:
    """Put records into quarantine and report each on the stream, once per record."""
    named = [
        (one, named_things(one.source, topics, keyring) if one.holds_back else NamedThings())
        for one in rejections
    ]
    await _keep(connection, named, keyring, now)


async def quarantine_place(
    connection: AsyncConnection, record: InputRecord, error: Exception, keyring: Keyring, now: datetime
) -> None:
    """Put a record into quarantine of which nothing but its place can be kept: what it holds cannot be written."""
    bare = KeptRecord(record.topic, record.partition, record.offset, key=None, value=None)
    await _keep(connection, [(failed(bare, error), NamedThings(searchable=False))], keyring, now)


async def _keep(
    connection: AsyncConnection,
    named: Sequence[tuple[Rejection, NamedThings]],
    keyring: Keyring,
    now: datetime,
) -> None:
    first = {place_of(one.source): (one, names) for one, names in reversed(named)}  # the first word counts
    records = [(_kept(one, keyring), names) for one, names in first.values()]
    new = await QuarantineRepository(connection).add(records, now)
    reported = [first[place][0] for place in sorted(new)]
    await record_events(connection, [(one.source, _event(one, now)) for one in reported])


async def record_events(
    connection: AsyncConnection, events: Iterable[tuple[InputRecord, EventRecord]]
) -> None:
    """Record events about inputs, each under the key of its input's partition."""
    by_key: dict[str, list[EventRecord]] = {}
    for source, event in events:
        by_key.setdefault(input_key(source.topic, source.partition), []).append(event)
    for stream_key, of_key in by_key.items():
        await EventRepository(connection).append_keyed(stream_key, of_key)


def sealing_context(topic: str, partition: int, offset: int) -> bytes:
    """Return what the seal of a record's bytes is bound to: its place."""
    return f"{topic}:{partition}:{offset}".encode()


def seal_bytes(data: bytes | None, context: bytes, keyring: Keyring) -> bytes | None:
    """Seal bytes, each as the character of its value."""
    return None if data is None else keyring.seal(data.decode("latin-1"), context)


def open_bytes(sealed: bytes | None, context: bytes, keyring: Keyring) -> bytes | None:
    """Return the bytes that were sealed.

    Raises:
        SealError: they were sealed by another keyring or for another place.
    """
    return None if sealed is None else keyring.open(sealed, context).encode("latin-1")


def _kept(rejection: Rejection, keyring: Keyring) -> QuarantinedRecord:
    source, notice = rejection.source, rejection.notice
    context = sealing_context(*place_of(source))
    value = source.value[:KEPT_OF_TOO_LARGE] if source.value and notice.reason == TOO_LARGE else source.value
    return QuarantinedRecord(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        sealed_key=seal_bytes(source.key, context, keyring),
        sealed_value=seal_bytes(value, context, keyring),
        size=len(source.value) if source.value is not None else None,
        fingerprint=_fingerprint(source, keyring),
        reason=notice.reason,
        detail=notice.detail,
        written_at=written_at(source) if source.timestamp > 0 else None,
        contradiction=rejection.contradiction,
    )


def _fingerprint(source: InputRecord, keyring: Keyring) -> bytes:
    """Return what tells a record from others at its place and, without the keyring, tells nothing of it."""
    parts = (
        "none" if part is None else f"{len(part)}:{part.decode('latin-1')}"
        for part in (source.key, source.value)
    )
    return keyring.fingerprint(f"record {' '.join(parts)}")


def _event(rejection: Rejection, now: datetime) -> EventRecord:
    return about_input(rejection.notice, now, rejection.channel, rejection.cause)
