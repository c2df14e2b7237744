"""What the topics that the service reads have in common: field types, decoding, and checks beyond the shape.

The bounds are those that storage and the rules rely on.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, structs

from giftcert.domain.cause import Cause
from giftcert.domain.explained import ExplainedWord

LONGEST_IDENTIFIER = 200  # identities are indexed, and an index row has a greatest size
GREATEST_AMOUNT = 2**53 - 1  # every JSON reader keeps integers exact up to here; bigint holds sums of them
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_IDENTIFIER)]
ShortText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
# Amounts are minor units of the message's currency; below 0 on an order line that takes something off.
Amount: TypeAlias = Annotated[int, Meta(ge=0, le=GREATEST_AMOUNT)]
SignedAmount: TypeAlias = Annotated[int, Meta(ge=-GREATEST_AMOUNT, le=GREATEST_AMOUNT)]
# "$" alone lets a newline follow.
Currency: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", max_length=3)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """What every input message carries; unknown fields of the owner are ignored."""

    event_id: Identifier
    event_type: str
    occurred_at: Annotated[datetime, Meta(tz=True)]


class ChannelRecord(Record, frozen=True, kw_only=True, gc=False):
    """What every message carries that a channel writes about an order."""

    channel: ShortText
    order_id: Identifier

    def cause(self, topic: str) -> Cause:
        """Return this record as the cause of what follows."""
        return Cause(topic, self.event_id, self.occurred_at, self.channel)


class MalformedReason(ExplainedWord):
    """How a record breaks its contract; ``detail`` names the field, never its value."""

    EMPTY_VALUE = "emptyValue", "The record has no value. Only in `All_Clients` does that mean something."
    INVALID_JSON = "invalidJson", "The value is not JSON in UTF-8."
    MISSING_FIELD = "missingField", "A field that is required is not there."
    INVALID_FIELD = "invalidField", "A field has another type, or is out of its bounds."
    DUPLICATE_LINE = "duplicateLine", "A lineId stands twice."
    DUPLICATE_CERTIFICATE = "duplicateCertificate", "Two lines name the same certificateId."
    OVER_ALLOCATED = "overAllocated", "The allocations add up to more than the payment."
    CERTIFICATE_MISSING = (
        "certificateMissing",
        "A certificate line, or a payment by certificate, lacks certificateId.",
    )
    REFUND_ID_MISSING = "refundIdMissing", "`payment.refunded` lacks refundId."
    MISSPELT_KIND = "misspeltKind", "A line of another kind carries the ids of a certificate line."
    UNKNOWN_CHANNEL = "unknownChannel", "The channel is not one of those that are configured."
    MASKED_TEXT = (
        "maskedText",
        "A text looks like a number, an address or a phone. It was masked, all else applied.",
    )
    UNDECODABLE_BATCH = "undecodableBatch", "The batch of the record cannot be decompressed or read."
    TOO_LARGE = (
        "tooLarge",
        "The record is larger than the limit after decompression; only its start was kept.",
    )


class MalformedRecord(Exception):  # noqa: N818 - named as the outcome of reading that it is
    """A record that breaks its contract.

    ``reason`` is a word of ``MalformedReason``. ``detail`` names the field and what was expected, never the value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = MalformedReason(reason)
        self.detail = detail


class UnknownEventTypeError(Exception):
    """A message of a type that the contract does not name: skipped and counted."""


class _Typed(Protocol):
    @property
    def event_type(self) -> str: ...


Message = TypeVar("Message", bound=_Typed)
AnyRecord = TypeVar("AnyRecord", bound=Record)

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>\w+)`")


class _TypeOnly(msgspec.Struct, rename="camel"):
    event_type: str


class _SnakeTypeOnly(msgspec.Struct):
    event_type: str


_TYPE: dict[str, msgspec.json.Decoder[_TypeOnly] | msgspec.json.Decoder[_SnakeTypeOnly]] = {
    "eventType": msgspec.json.Decoder(_TypeOnly),
    "event_type": msgspec.json.Decoder(_SnakeTypeOnly),
}


def read_known(
    decoder: msgspec.json.Decoder[Message],
    value: bytes | None,
    types: frozenset[str],
    type_field: str = "eventType",
) -> Message:
    """Decode a message of one of these types; one of another type may have any shape otherwise.

    Raises:
        UnknownEventTypeError: it is of another type.
        MalformedRecord: it is no JSON, does not have the decoder's shape, or is a null, which means nothing.
    """
    if value is None:
        raise MalformedRecord("emptyValue", "the record has no value")
    try:
        message = decoder.decode(value)
    except _UNREADABLE as error:
        event_type = _type_of(value, type_field)
        if event_type is None or event_type in types:
            raise _malformed(error) from None  # the original may quote the value
        raise UnknownEventTypeError(event_type) from None
    if message.event_type not in types:
        raise UnknownEventTypeError(message.event_type)
    return message


def read_record(
    decoder: msgspec.json.Decoder[AnyRecord], value: bytes | None, types: frozenset[str]
) -> AnyRecord:
    """Decode and raise as ``read_known`` does; the instant is in UTC, and PostgreSQL can keep the text."""
    record = read_known(decoder, value, types)
    refuse_nul(record, value)
    occurred_at = in_utc(record.occurred_at, "occurredAt")
    if occurred_at is record.occurred_at:
        return record
    return structs.replace(record, occurred_at=occurred_at)


def refuse_nul(record: msgspec.Struct, value: bytes | None) -> None:
    """Refuse a NUL character, which PostgreSQL cannot keep; it is looked for where the bytes hint at one."""
    if b"\\u0000" in (value or b"") and _has_nul(msgspec.to_builtins(record)):
        raise MalformedRecord("invalidField", "value: expected text without NUL characters")


def _type_of(value: bytes, field: str) -> str | None:
    try:
        return _TYPE[field].decode(value).event_type
    except _UNREADABLE:
        return None


def _malformed(error: Exception) -> MalformedRecord:
    if not isinstance(error, msgspec.ValidationError):
        return MalformedRecord("invalidJson", "the value is not JSON in UTF-8")
    text = str(error)
    at = _PATH.search(text)
    path = at["path"] if at else ""
    what = text[: at.start()] if at else text
    if missing := _MISSING.search(what):
        field = f"{path}.{missing['field']}" if path else missing["field"]
        return MalformedRecord("missingField", f"{field}: required")
    if not what.startswith("Expected "):  # such messages quote the value
        what = "expected another value"
    return MalformedRecord("invalidField", f"{path or 'value'}: {what[0].lower()}{what[1:].replace('`', '')}")


def _has_nul(value: Any) -> bool:  # noqa: ANN401 - any decoded JSON
    if isinstance(value, dict):
        return any(map(_has_nul, value.values()))
    if isinstance(value, list):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def in_utc(instant: datetime, field: str) -> datetime:
    """Return the instant in UTC; one outside 2000 to 2199 is a producer's mistake, and deadlines would overflow."""
    if not _EARLIEST <= instant < _LATEST:
        raise MalformedRecord("invalidField", f"{field}: expected an instant between 2000 and 2199")
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def require_known_channel(channel: str, channels: tuple[str, ...]) -> None:
    """Refuse a channel that is not configured: no worker would lead its certificates."""
    if channel not in channels:
        raise MalformedRecord("unknownChannel", f"channel: expected one of {', '.join(channels)}")


def require_distinct(ids: Iterable[str], reason: str, field: str) -> None:
    """Refuse an identifier that stands twice in a list."""
    named = list(ids)
    if len(set(named)) != len(named):
        raise MalformedRecord(reason, f"{field}: named twice")
