"""``All_SalesOrder``: our reading of the orders that channels write through Orders."""

import re
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import structs

from giftcert.contracts.checks import in_utc, require_distinct, require_sound_text
from giftcert.contracts.fields import Amount, Currency, Identifier, Record, ShortText, Version
from giftcert.contracts.identity import join
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType, present, read, unknown_type

CREATED, CHANGED = "order.created", "order.changed"
CANCELLED, RETURNED = "order.cancelled", "order.returned"
STATED_TYPES = frozenset({CREATED, CHANGED})
EVENT_TYPES = STATED_TYPES | {CANCELLED, RETURNED}
GIFT_CERTIFICATE = "giftCertificate"

_ADDRESS = re.compile(r"@|^\+?[\d\s()-]{10,}$")


class ProbeLine(msgspec.Struct, frozen=True, gc=False):
    """Of a line, what tells whether it matters here."""

    kind: str = ""


class OrderProbe(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Of an order message, what tells whether it matters here."""

    order_id: Identifier
    event_type: str
    lines: list[ProbeLine | str] | None = None

    @property
    def names_certificate(self) -> bool:
        """Whether a certificate is sold on one of its lines."""
        return any(isinstance(line, ProbeLine) and line.kind == GIFT_CERTIFICATE for line in self.lines or ())


class OrderRecipient(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whom a certificate is for."""

    ref: Identifier | None = None
    channel: Literal["email", "sms", "print"] | None = None
    locale: ShortText | None = None


class OrderLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A line of an order; only a certificate line has more than id, kind and amount."""

    line_id: Identifier
    kind: ShortText
    amount: Amount
    certificate_id: Identifier | None = None
    reservation_id: Identifier | None = None
    nominal: Amount | None = None
    recipient: OrderRecipient | None = None
    quantity: Any = None  # goods may be sold by weight; of certificates there is one a line

    @property
    def is_certificate(self) -> bool:
        """Whether a gift certificate is sold on this line."""
        return self.kind == GIFT_CERTIFICATE


class NamedLine(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A line as a cancellation or return names it."""

    line_id: Identifier


class OrderRecord(Record, frozen=True, kw_only=True, gc=False):
    """What every order message carries."""

    channel: ShortText
    order_id: Identifier
    order_version: Version


class StatedOrder(OrderRecord, frozen=True, kw_only=True, gc=False):
    """``order.created``, ``order.changed``: the whole order as it now is."""

    customer_id: Identifier | None = None
    currency: Currency
    total: Amount
    lines: tuple[OrderLine, ...]

    @property
    def certificate_lines(self) -> tuple[OrderLine, ...]:
        """The lines on which certificates are sold; each has a ``certificate_id``."""
        return tuple(line for line in self.lines if line.is_certificate)


class WithdrawnOrder(OrderRecord, frozen=True, kw_only=True, gc=False):
    """``order.cancelled``, ``order.returned``: these lines; a cancellation without lines means all."""

    lines: tuple[NamedLine | Identifier, ...] | None = None

    @property
    def line_ids(self) -> tuple[str, ...] | None:
        """The lines that it names; ``None`` means all."""
        if self.lines is None:
            return None
        return tuple(line if isinstance(line, str) else line.line_id for line in self.lines)


AnyOrder: TypeAlias = StatedOrder | WithdrawnOrder

_PROBE: msgspec.json.Decoder[OrderProbe] = msgspec.json.Decoder(OrderProbe)
_STATED: msgspec.json.Decoder[StatedOrder] = msgspec.json.Decoder(StatedOrder)
_WITHDRAWN: msgspec.json.Decoder[WithdrawnOrder] = msgspec.json.Decoder(WithdrawnOrder)


def probe_order(value: bytes | None) -> OrderProbe | UnknownEventType:
    """Decode only what tells whether an order message matters here; most do not.

    Raises:
        MalformedRecord: the value has not even that.
    """
    value = present(value)
    try:
        probe = read(_PROBE, value)
    except MalformedRecord:
        unknown = unknown_type(value, EVENT_TYPES)
        if unknown is None:
            raise
        return unknown
    return probe if probe.event_type in EVENT_TYPES else UnknownEventType(probe.event_type)


def decode_order(value: bytes | None) -> AnyOrder | UnknownEventType:
    """Decode an order message whole and hold it against the contract.

    Raises:
        MalformedRecord: it breaks the contract.
    """
    value = present(value)
    probe = probe_order(value)
    if isinstance(probe, UnknownEventType):
        return probe
    return _stated(value) if probe.event_type in STATED_TYPES else _withdrawn(value)


def identity(record: OrderRecord) -> str:
    """Return what all repeats of an order message share: order, version and type."""
    return join(record.event_type, record.order_id, str(record.order_version))


def _stated(value: bytes) -> StatedOrder:
    record = read(_STATED, value)
    require_sound_text(value, record)
    require_distinct((line.line_id for line in record.lines), "duplicateLine", "lines.lineId")
    certificates = (line.certificate_id for line in record.certificate_lines)
    require_distinct(certificates, "duplicateCertificate", "lines.certificateId")
    lines = tuple(_checked(line, f"lines[{nth}]") for nth, line in enumerate(record.lines))
    return structs.replace(record, occurred_at=in_utc(record.occurred_at, "occurredAt"), lines=lines)


def _checked(line: OrderLine, path: str) -> OrderLine:
    """Return the line without its quantity, which says nothing once it is checked."""
    if line.is_certificate:
        _check_certificate(line, path)
    return structs.replace(line, quantity=None)


def _check_certificate(line: OrderLine, path: str) -> None:
    if line.certificate_id is None:
        raise MalformedRecord("certificateMissing", f"{path}.certificateId: required")
    if line.quantity not in (None, 1):
        raise MalformedRecord("invalidField", f"{path}.quantity: expected 1")
    reference = line.recipient.ref if line.recipient else None
    if reference and _ADDRESS.search(reference):  # it would stand on the stream for ever
        raise MalformedRecord("invalidField", f"{path}.recipient.ref: expected a reference, not an address")


def _withdrawn(value: bytes) -> WithdrawnOrder:
    record = read(_WITHDRAWN, value)
    require_sound_text(value, record)
    line_ids = record.line_ids
    if line_ids == () or (line_ids is None and record.event_type == RETURNED):
        raise MalformedRecord("missingField", "lines: expected the lines that are meant")
    require_distinct(line_ids or (), "duplicateLine", "lines.lineId")
    # Both ways of naming a line are one content.
    lines = None if line_ids is None else tuple(NamedLine(line_id) for line_id in line_ids)
    return structs.replace(record, occurred_at=in_utc(record.occurred_at, "occurredAt"), lines=lines)
