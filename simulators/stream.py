"""Events of ``GiftCertificates.Stream`` as a partner reads them: what it does not know, it skips."""

from datetime import datetime
from typing import Any

import msgspec

from simulators.service import Money
from simulators.topics import Record


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event. ``sequence`` counts per certificate from 1; what does not apply is ``None``."""

    event_id: str
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None = None
    sale_channel: str | None = None
    status: str | None = None
    refund_state: str | None = None
    certificate_id: str | None = None
    sequence: int | None = None
    product: str | None = None
    nominal: Money | None = None
    balance: Money | None = None
    held: Money | None = None
    payload: dict[str, Any] = msgspec.field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return a field of the payload as text."""
        value = self.payload.get(name)
        return None if value is None else str(value)

    def amount(self, name: str) -> int:
        """Return an amount of money in the payload, in minor units; 0 where there is none."""
        value = self.payload.get(name)
        return int(value["amount"]) if isinstance(value, dict) else 0


def read_event(record: Record) -> Event:
    """Decode a record of the stream.

    Raises:
        msgspec.DecodeError: it breaks the contract.
    """
    return msgspec.json.decode(record.value, type=Event)


def envelope_faults(record: Record, event: Event) -> list[str]:
    """Return what is wrong with key and CloudEvents headers (binary mode, version 1.0); empty if nothing."""
    wanted = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_type": event.event_type,
        "content-type": "application/json",
    }
    if event.certificate_id is not None:
        wanted["ce_subject"] = event.certificate_id
    faults = [
        f"header {name} is {record.headers.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if record.headers.get(name) != value
    ]
    if event.certificate_id is not None and record.key != event.certificate_id:
        faults.append(f"key is {record.key!r}, not {event.certificate_id!r}")
    return [f"{event.event_type} {event.event_id}: {fault}" for fault in faults]
