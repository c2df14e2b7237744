"""``All_SalesOrder``: our reading of the orders that channels write through Orders."""

from hashlib import blake2b
from typing import Any, Literal, TypeAlias

import msgspec

from giftcert.contracts.inputs import (
    Amount,
    ChannelRecord,
    Currency,
    Identifier,
    MalformedRecord,
    ShortText,
    SignedAmount,
    Version,
    read_known,
    read_record,
    require_distinct,
)
from giftcert.domain.clients import Recipient
from giftcert.domain.order import messages as m
from giftcert.domain.order.messages import GIFT_CERTIFICATE

CREATED, CHANGED = "order.created", "order.changed"
CANCELLED, RETURNED = "order.cancelled", "order.returned"
STATED_TYPES = frozenset({CREATED, CHANGED})
EVENT_TYPES = STATED_TYPES | {CANCELLED, RETURNED}


class _ProbeLine(msgspec.Struct, frozen=True, rename="camel", gc=False):
    kind: str = ""
    certificate_id: Any = None
    reservation_id: Any = None


class OrderProbe(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Of an order message, what decides whether it matters here; most do not."""

    order_id: Identifier
    event_type: str
    lines: list[_ProbeLine | str] | None = None

    @property
    def names_certificate(self) -> bool:
        """Whether a line sells a certificate, or carries what only such a line may: its kind may be misspelt."""
        return any(
            line.kind == GIFT_CERTIFICATE or (line.certificate_id, line.reservation_id) != (None, None)
            for line in self.lines or ()
            if isinstance(line, _ProbeLine)
        )


class OrderRecipient(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whom a certificate is for."""

    ref: Identifier | None = None
    channel: Literal["email", "sms", "print"] | None = None
    locale: ShortText | None = None


class OrderLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """A line of an order; only a certificate line has more than id, kind and amount."""

    line_id: Identifier
    kind: ShortText
    amount: SignedAmount
    certificate_id: Identifier | None = None
    reservation_id: Identifier | None = None
    nominal: Amount | None = None
    recipient: OrderRecipient | None = None
    quantity: Any = None  # goods may be sold by weight; of certificates there is one a line


class NamedLine(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A line as a cancellation or return names it."""

    line_id: Identifier
    certificate_id: Identifier | None = None


class StatedOrder(ChannelRecord, frozen=True, kw_only=True, gc=False):
    """``order.created``, ``order.changed``: the whole order as it now is."""

    order_version: Version
    customer_id: Identifier | None = None
    currency: Currency
    total: Amount
    lines: tuple[OrderLine, ...]

    @property
    def certificate_lines(self) -> tuple[OrderLine, ...]:
        """The lines on which certificates are sold; each has a ``certificate_id``."""
        return tuple(line for line in self.lines if line.kind == GIFT_CERTIFICATE)

    @property
    def named_certificates(self) -> tuple[str, ...]:
        """The certificates that its lines name, in their order."""
        return tuple(line.certificate_id for line in self.certificate_lines if line.certificate_id)


class WithdrawnOrder(ChannelRecord, frozen=True, kw_only=True, gc=False):
    """``order.cancelled``, ``order.returned``: these lines; a cancellation without lines means all."""

    order_version: Version
    lines: tuple[NamedLine | Identifier, ...] | None = None

    @property
    def line_ids(self) -> tuple[str, ...] | None:
        """The lines that it names; ``None`` means all."""
        if self.lines is None:
            return None
        return tuple(line if isinstance(line, str) else line.line_id for line in self.lines)

    @property
    def certificates(self) -> tuple[tuple[str, str], ...]:
        """Pairs of lineId and certificateId; such a message, too, may be the first of an order to name one."""
        lines = (line for line in self.lines or () if isinstance(line, NamedLine))
        return tuple((line.line_id, line.certificate_id) for line in lines if line.certificate_id)

    @property
    def named_certificates(self) -> tuple[str, ...]:
        """The certificates alone."""
        return tuple(certificate_id for _, certificate_id in self.certificates)


AnyOrder: TypeAlias = StatedOrder | WithdrawnOrder

_PROBE: msgspec.json.Decoder[OrderProbe] = msgspec.json.Decoder(OrderProbe)
_STATED: msgspec.json.Decoder[StatedOrder] = msgspec.json.Decoder(StatedOrder)
_WITHDRAWN: msgspec.json.Decoder[WithdrawnOrder] = msgspec.json.Decoder(WithdrawnOrder)


def probe_order(value: bytes | None) -> OrderProbe:
    """Decode only what decides whether an order message matters here; raises as ``read_known``."""
    return read_known(_PROBE, value, EVENT_TYPES)


def decode_order(value: bytes | None) -> AnyOrder:
    """Decode an order message whole and check it against the contract; raises as ``read_known``."""
    return _stated(value) if probe_order(value).event_type in STATED_TYPES else _withdrawn(value)


def _stated(value: bytes | None) -> StatedOrder:
    record = read_record(_STATED, value, STATED_TYPES)
    require_distinct((line.line_id for line in record.lines), "duplicateLine", "lines.lineId")
    require_distinct(record.named_certificates, "duplicateCertificate", "lines.certificateId")
    for nth, line in enumerate(record.lines):
        _check_line(line, f"lines[{nth}]")
    return record


def _check_line(line: OrderLine, path: str) -> None:
    if line.kind != GIFT_CERTIFICATE:  # a misspelt kind must not lose the buyer's money, as goods would
        if (line.certificate_id, line.reservation_id) != (None, None):
            expected = f"{path}.kind: expected {GIFT_CERTIFICATE} beside these ids"
            raise MalformedRecord("misspeltKind", expected)
    elif line.certificate_id is None:
        raise MalformedRecord("certificateMissing", f"{path}.certificateId: required")
    elif line.quantity not in (None, 1):
        raise MalformedRecord("invalidField", f"{path}.quantity: expected 1")
    elif line.amount < 0:
        raise MalformedRecord("invalidField", f"{path}.amount: expected 0 or more")


def _withdrawn(value: bytes | None) -> WithdrawnOrder:
    record = read_record(_WITHDRAWN, value, EVENT_TYPES)
    line_ids = record.line_ids
    if line_ids == () or (line_ids is None and record.event_type == RETURNED):
        raise MalformedRecord("missingField", "lines: expected the lines that are meant")
    require_distinct(line_ids or (), "duplicateLine", "lines.lineId")
    return record


def order_message(record: AnyOrder, topic: str) -> m.OrderVersion:
    """Return what an order record on ``topic`` says of its order."""
    said: dict[str, Any] = {
        "cause": record.cause(topic),
        "order_id": record.order_id,
        "version": record.order_version,
        "channel": record.channel,
    }
    if isinstance(record, StatedOrder):
        return m.OrderStated(
            **said,
            event_type=record.event_type,
            customer_id=record.customer_id,
            currency=record.currency,
            total=record.total,
            lines=tuple(map(_line, record.lines)),
            recipients_digest=_digest(recipients(record)),
        )
    if record.event_type == RETURNED:
        return m.LinesReturned(**said, line_ids=record.line_ids or (), certificates=record.certificates)
    return m.OrderCancelled(**said, line_ids=record.line_ids, certificates=record.certificates)


def recipients(record: StatedOrder) -> dict[str, Recipient]:
    """Return whom the certificates of an order are for, by lineId; they are kept apart from the order, to be erased."""
    return {
        line.line_id: Recipient(line.recipient.ref, line.recipient.channel, line.recipient.locale)
        for line in record.certificate_lines
        if line.recipient is not None
    }


def _line(line: OrderLine) -> m.OrderLine:
    return m.OrderLine(
        line_id=line.line_id,
        kind=line.kind,
        amount=line.amount,
        certificate_id=line.certificate_id,
        reservation_id=line.reservation_id,
        nominal=line.nominal if line.kind == GIFT_CERTIFICATE else None,
    )


def _digest(recipients: dict[str, Recipient]) -> str | None:
    """Shows whether a repeat names the same recipients, without keeping them."""
    if not recipients:
        return None
    return blake2b(msgspec.json.encode(sorted(recipients.items())), digest_size=8).hexdigest()
