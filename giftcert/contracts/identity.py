"""What makes two payments that spend a certificate the same: business identity and content, not the event id."""

from hashlib import sha256

import msgspec
from msgspec import structs

from giftcert.contracts.fields import EPOCH
from giftcert.contracts.payments import REFUNDED, PaymentRecord

_ENCODER = msgspec.json.Encoder()


def spending_identity(record: PaymentRecord) -> str:
    """Return what all repeats share: payment, type, and captureId or refundId, else amount and instant."""
    if record.event_type == REFUNDED and record.refund_id:
        return _join(record.event_type, record.payment_id, "refund", record.refund_id)
    if record.capture_id:
        return _join(record.event_type, record.payment_id, "capture", record.capture_id)
    instant = record.occurred_at.strftime("%Y%m%dT%H%M%S.%fZ")
    return _join(record.event_type, record.payment_id, str(record.amount), instant)


def spending_content(record: PaymentRecord) -> bytes:
    """Return the SHA-256 of the fields that we decode, without event id and ``occurredAt``.

    Where ``occurredAt`` is part of the identity, equal identities have it equal anyway. Fields with their default are
    left out, so that a field decoded in a later version does not make old messages contradict their repeats.
    """
    allocations = tuple(sorted(record.allocations or (), key=lambda one: one.line_id)) or None
    said = structs.replace(record, event_id="", occurred_at=EPOCH, allocations=allocations)
    return sha256(_ENCODER.encode(said)).digest()


def _join(*parts: str) -> str:
    """Return the parts as one text that no other parts give."""
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)
