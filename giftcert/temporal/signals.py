"""Signals to a certificate's workflow, named after what happened; they wake it and carry no authority."""

from dataclasses import dataclass
from enum import StrEnum


class Signal(StrEnum):
    """What happened; also the kind of a row in ``pending``."""

    ORDER_CREATED = "order_created"
    ORDER_CHANGED = "order_changed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_RETURNED = "order_returned"
    PAYMENT_CAPTURED = "payment_captured"
    PAYMENT_VOIDED = "payment_voided"
    PAYMENT_REFUNDED = "payment_refunded"
    CERTIFICATE_SPENT = "certificate_spent"
    REQUEST_DECIDED = "request_decided"
    LINE_FREED = "line_freed"
    KEYS_ROTATED = "keys_rotated"


@dataclass(frozen=True, slots=True)
class Woken:
    """The argument of every signal, for readers of the history: the event that brought it about, and its order."""

    cause: str | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A signal to send once its cause is committed. ``channel`` is the sale's, which chooses the task queue."""

    certificate_id: str
    signal: Signal
    channel: str
    product: str | None = None
    order_id: str | None = None
    cause: str | None = None
