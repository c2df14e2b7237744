"""Records that cannot be applied: what the stream says of them, what they name, and how they are kept, sealed."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from giftcert.contracts.inputs import MalformedReason
from giftcert.contracts.notices import (
    CertificateUnknown,
    FailureReason,
    InputMalformed,
    InputProblem,
    ProcessingFailed,
    UnexpectedInputReason,
    UnknownCertificateReason,
    about_input,
    input_key,
)
from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.redaction import REDACTED
from giftcert.security.data_keys import DataKey, Purpose
from giftcert.security.keyring import Keyring
from giftcert.sensitive_text import redact_sensitive
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Connection
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine import (
    NamedThings,
    QuarantinedRecord,
    QuarantineRepository,
    order_digest,
    owner_at,
)
from kafka_ingest.records import CutBytes, InputRecord, Topics, place_of, written_at

EARLIER_IN_QUARANTINE = UnexpectedInputReason.EARLIER_IN_QUARANTINE
UNDECODABLE_BATCH, TOO_LARGE = MalformedReason.UNDECODABLE_BATCH, MalformedReason.TOO_LARGE
LONGEST_DETAIL = 500
MOST_NAMES = 10_000
"""Above so many names a record counts as one that cannot be searched."""
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that cannot be applied, wholly or in part, and what its error event says.

    ``cause``: the message, where it could be read; of a malformed record not even its event id was checked.
    ``contradiction``: what it is known by when it comes again. ``names``: what it holds back until it is replayed or
    dismissed, if that is not all that its bytes name.
    """

    source: InputRecord
    problem: type[InputProblem]
    reason: str
    text: str
    cause: Cause | None = None
    contradiction: bytes | None = None
    names: NamedThings | None = None

    @property
    def detail(self) -> str:
        """What is wrong, as it may be published."""
        return redact_sensitive(self.text, REDACTED).replace("\0", "")[:LONGEST_DETAIL]

    def event(self, now: datetime) -> EventRecord:
        """Return the event that reports it."""
        topic, partition, offset = place_of(self.source)
        problem = self.problem(
            topic=topic,
            partition=partition,
            offset=offset,
            event_id=self.cause.event_id if self.cause else None,
            reason=self.reason,
            detail=self.detail,
        )
        return about_input(problem, now, cause=self.cause)


@dataclass(slots=True)
class Outcomes:
    """What came of records; ``counts`` says how many records of a topic had which outcome."""

    rejections: list[Rejection] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, source: InputRecord, outcome: str) -> None:
        """Count a record."""
        self.counts[source.topic, outcome] += 1

    def reject(self, rejection: Rejection) -> None:
        """Reject a record."""
        self.rejections.append(rejection)
        self.count(rejection.source, "rejected")


def malformed(source: InputRecord, reason: str, detail: str) -> Rejection:
    """Return the rejection of a record that breaks its contract."""
    return Rejection(source, InputMalformed, reason, detail)


def unknown_certificate(
    source: InputRecord, cause: Cause, detail: str, digest: bytes | None = None
) -> Rejection:
    """Return the rejection of a message that names a certificate we never made; all else in it was applied."""
    reason = UnknownCertificateReason.UNKNOWN_CERTIFICATE
    return Rejection(source, CertificateUnknown, reason, detail, cause, digest, names=NamedThings())


def failed(source: InputRecord, error: Exception, names: NamedThings | None = None) -> Rejection:
    """Return the rejection of a record that made its transaction fail for its own sake.

    Only the kind of the error is published: its text may quote the record.
    """
    return Rejection(source, ProcessingFailed, FailureReason.RECORD_FAILS, type(error).__name__, names=names)


def named_things(record: InputRecord, topics: Topics, keyring: Keyring) -> NamedThings:
    """Return all that a record may name, from the whole of its bytes, so that nothing of it is released meanwhile.

    Of a record of orders that is no JSON an id may be missing or broken, so it counts as one that cannot be searched.
    Payments concern what their key names, the order; clients nothing that is ever released.
    """
    if record.topic == topics.clients:
        return NamedThings()
    texts, orders, is_json = _searched(record)
    ids = list({UUID(found) for found in {one for text in texts for one in _UUID.findall(text)}})
    named = list(dict.fromkeys(orders))
    searchable = is_json or (record.topic == topics.payments and bool(named))
    return NamedThings(
        ids=tuple(ids[:MOST_NAMES]),
        orders=tuple(order_digest(keyring, order_id) for order_id in named[:MOST_NAMES]),
        searchable=searchable and len(ids) <= MOST_NAMES and len(named) <= MOST_NAMES,
    )


def orders_named(record: InputRecord) -> list[str]:
    """Return the ids of the orders that a record may be about: its key, and whatever it calls an order id."""
    return _searched(record)[1]


def _searched(record: InputRecord) -> tuple[list[str], list[str], bool]:
    """Return the texts of a record, which of them may be order ids, and whether its value is JSON, or none."""
    try:
        key = [record.key.decode()] if record.key else []
    except UnicodeDecodeError:
        key = []
    if record.value is None:
        return key, key, True
    if isinstance(record.value, CutBytes):  # what was cut off may name anything
        return [record.value.decode("latin-1"), *key], key, False
    try:
        found = list(_walk(msgspec.json.decode(record.value)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [record.value.decode("latin-1"), *key], key, False
    orders = [text for name, text in found if name.replace("_", "").replace("-", "").lower() == "orderid"]
    return [*(text for _, text in found), *key], [*orders, *key], True


def _walk(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any decoded JSON
    """Yield every text with the name of its field; one level of a list or object at a time, however deep."""
    left = [("", value)]
    while left:
        name, value = left.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            left += value.items()
            left += [("", inner) for inner in value]
        elif isinstance(value, list):
            left += [(name, one) for one in value]
        elif isinstance(value, int):
            yield name, str(value)


async def quarantine(
    connection: Connection,
    rejections: Sequence[Rejection],
    topics: Topics,
    keyring: Keyring,
    now: datetime,
) -> None:
    """Put records into quarantine and report each on the stream, once per record."""
    first = {place_of(one.source): one for one in reversed(rejections)}  # the first word counts
    key = await DataKeyRepository(connection, keyring).for_inputs(now)
    records = [
        (_kept(one, keyring, key), one.names or named_things(one.source, topics, keyring))
        for one in first.values()
    ]
    new = await QuarantineRepository(connection).add(records, now)
    reported = [first[place] for place in sorted(new)]
    await record_events(connection, [(one.source, one.event(now)) for one in reported], keyring)


async def record_events(
    connection: Connection, events: Iterable[tuple[InputRecord, EventRecord]], keyring: Keyring
) -> None:
    """Record events about inputs, each under the key of its input's partition."""
    by_key: dict[str, list[EventRecord]] = defaultdict(list)
    for source, event in events:
        by_key[input_key(source.topic, source.partition)].append(event)
    for stream_key, of_key in by_key.items():
        await EventRepository(connection, keyring).append_keyed(stream_key, of_key)


def _kept(rejection: Rejection, keyring: Keyring, sealing: DataKey) -> QuarantinedRecord:
    source, owner = rejection.source, owner_at(place_of(rejection.source))
    key, value = source.key, source.value
    if rejection.reason == TOO_LARGE:
        key, value = _cut(key), _cut(value)
    return QuarantinedRecord(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        sealed_key=None if key is None else sealing.seal(key, Purpose.QUARANTINED_KEY, owner),
        sealed_value=None if value is None else sealing.seal(value, Purpose.QUARANTINED_VALUE, owner),
        fingerprint=keyring.fingerprint(f"record {_identity(key)!r} {_identity(value)!r}"),
        reason=rejection.reason,
        detail=rejection.detail,
        written_at=written_at(source) if source.timestamp > 0 else None,
        contradiction=rejection.contradiction,
    )


def _cut(data: bytes | None) -> bytes | None:
    return data if data is None or isinstance(data, CutBytes) else CutBytes.of([data])


def _identity(data: bytes | None) -> bytes | None:
    return data.sha256 if isinstance(data, CutBytes) else data
