"""Free texts of inputs that would reach the stream: what looks like a number, an address or a phone number is masked.

The input is applied all the same, and ``error.malformedEvent`` says which of its fields were masked. Pure.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from msgspec import structs

from giftcert.contracts.clients import ClientRecord
from giftcert.contracts.notices import InputMalformed, about_input
from giftcert.contracts.orders import AnyOrder, recipients
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.clients import Recipient
from giftcert.redaction import REDACTED, is_fit_to_tell
from kafka_ingest.records import InputRecord


def masked_recipients(record: AnyOrder) -> tuple[dict[str, Recipient], list[str]]:
    """Return whom the lines of an order are for, by lineId, and the fields that had to be masked."""
    found, masked = recipients(record), []
    for line_id, recipient in found.items():
        unfit = _unfit({"ref": recipient.ref, "locale": recipient.locale})
        if unfit:
            found[line_id] = replace(recipient, **dict.fromkeys(unfit, REDACTED))
            masked += [f"recipient.{name}" for name in unfit]
    return found, sorted(set(masked))


def masked_client(record: ClientRecord) -> tuple[ClientRecord, list[str]]:
    """Return a client with the texts that a notification tells, and those of them that had to be masked."""
    unfit = _unfit({"locale": record.locale, "preferred_channel": record.preferred_channel})
    return (structs.replace(record, **dict.fromkeys(unfit, REDACTED)) if unfit else record), unfit


def masked_notice(source: InputRecord, cause: Cause, masked: Iterable[str], now: datetime) -> EventRecord:
    """Return the event that says which fields of a record were masked."""
    fields = ", ".join(masked)
    notice = InputMalformed(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=cause.event_id,
        reason="maskedText",
        detail=f"{fields}: looks like a number, an address or a phone number, and was masked",
    )
    return about_input(notice, now, cause.channel, cause)


def _unfit(texts: dict[str, str | None]) -> list[str]:
    return [name for name, text in texts.items() if text is not None and not is_fit_to_tell(text)]
