"""``All_Payments`` as another owner writes it: snake_case, decimal amounts as text, channels by numeric codes.

The worked example of the seam: a decoder of another format is a module like this one and an entry in
``payment_formats``. What it returns is the same ``PaymentRecord``, so nothing else knows which format was read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta

from giftcert.contracts.inputs import (
    GREATEST_AMOUNT,
    Currency,
    Identifier,
    MalformedRecord,
    ShortText,
    in_utc,
    read_known,
    refuse_nul,
)
from giftcert.contracts.payments import (
    AUTHORIZED,
    CAPTURED,
    REFUNDED,
    VOIDED,
    PaymentAllocation,
    PaymentRecord,
    checked,
)
from giftcert.domain.money import digits_of
from giftcert.domain.order.messages import GIFT_CERTIFICATE

_EVENT_TYPES = {"authorized": AUTHORIZED, "captured": CAPTURED, "voided": VOIDED, "refunded": REFUNDED}
_TENDERS = {"gift_certificate": GIFT_CERTIFICATE}  # others are as they are: all count alike
# No sign, exponent or separators; a JSON number is refused, as many a reader makes a float of it.
_Decimal = Annotated[str, Meta(pattern=r"^[0-9]{1,16}(\.[0-9]{1,8})?\Z")]


class _Allocation(msgspec.Struct, frozen=True, gc=False):
    line_id: Identifier
    amount: _Decimal


class _Payment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    event_id: Identifier
    event_type: str
    occurred_at: Annotated[datetime, Meta(tz=True)]
    channel: int
    order_id: Identifier
    payment_id: Identifier
    capture_id: Identifier | None = None
    refund_id: Identifier | None = None
    tender: ShortText
    amount: _Decimal
    currency: Currency
    allocations: tuple[_Allocation, ...] | None = None
    certificate_id: Identifier | None = None
    redemption_id: Identifier | None = None


_DECODER: msgspec.json.Decoder[_Payment] = msgspec.json.Decoder(_Payment)
_CAPITAL = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class AcquirerPayments:
    """Decodes payments in this format; ``channels`` are ours by the owner's numeric codes."""

    channels: Mapping[int, str]

    def __call__(self, value: bytes | None) -> PaymentRecord:
        """Decode a payment message and check it by the contract; raises as ``read_known``, in the owner's words."""
        found = read_known(_DECODER, value, frozenset(_EVENT_TYPES), type_field="event_type")
        refuse_nul(found, value)
        try:
            return checked(self._record(found))
        except MalformedRecord as error:
            _raise_in_their_words(error)

    def _record(self, found: _Payment) -> PaymentRecord:
        return PaymentRecord(
            event_id=found.event_id,
            event_type=_EVENT_TYPES[found.event_type],
            occurred_at=in_utc(found.occurred_at, "occurredAt"),
            # Most payments concern no certificate, so one of a channel that nobody configured is no error here.
            channel=self.channels.get(found.channel, str(found.channel)),
            order_id=found.order_id,
            payment_id=found.payment_id,
            capture_id=found.capture_id,
            refund_id=found.refund_id,
            tender=_TENDERS.get(found.tender, found.tender),
            amount=_minor_units(found.amount, found.currency, "amount"),
            currency=found.currency,
            allocations=_allocations(found),
            certificate_id=found.certificate_id,
            redemption_id=found.redemption_id,
        )


def _allocations(found: _Payment) -> tuple[PaymentAllocation, ...] | None:
    if found.allocations is None:
        return None
    return tuple(
        PaymentAllocation(one.line_id, _minor_units(one.amount, found.currency, "allocations.amount"))
        for one in found.allocations
    )


def _minor_units(text: str, currency: str, field: str) -> int:
    """Return a decimal amount in minor units; one that is no whole number of them is refused, never rounded."""
    digits = digits_of(currency)
    amount = Decimal(text).scaleb(digits)
    if amount != int(amount):
        raise MalformedRecord("invalidField", f"{field}: expected at most {digits} digits behind the point")
    if amount > GREATEST_AMOUNT:
        raise MalformedRecord("invalidField", f"{field}: expected no more than 2^53 - 1 minor units")
    return int(amount)


def _raise_in_their_words(error: MalformedRecord) -> NoReturn:
    field, colon, rest = error.detail.partition(":")
    name = _CAPITAL.sub("_", field).lower()
    raise MalformedRecord(error.reason, f"{name}{colon}{rest}") from None
