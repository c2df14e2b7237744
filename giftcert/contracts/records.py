"""A public event with all that the stream tells of it, before storage gives it id and sequence number."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from giftcert.domain.cause import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFields:
    """What every event of the stream says, as it is recorded and as it is stored.

    Amounts are minor units of ``currency``; what does not apply is ``None``. ``status``, ``refund_state``, ``balance``
    and ``held`` are those after the event.
    """

    event_type: str
    occurred_at: datetime
    channel: str | None
    sale_channel: str | None = None
    status: str | None = None
    refund_state: str | None = None
    product: str | None = None
    nominal: int | None = None
    currency: str | None = None
    balance: int | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(EventFields):
    """One event to be recorded."""

    payload: dict[str, Any]
    cause: Cause | None = None
