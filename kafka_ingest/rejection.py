"""A record that cannot be applied: what the stream is told of it; the record itself goes to quarantine."""

from dataclasses import dataclass
from hashlib import sha256

from giftcert.contracts.malformed import MalformedRecord
from giftcert.contracts.notices import (
    CertificateUnknown,
    InputMalformed,
    InputNotice,
    InputUnexpected,
    ProcessingFailed,
)
from giftcert.contracts.orders import AnyOrder, OrderProbe, probe_order
from giftcert.contracts.payments import PaymentRecord
from giftcert.redaction import redact_text
from kafka_ingest.source import SourceRecord

COMPONENT = "ingest"
LONGEST_DETAIL = 500
EARLIER_IN_QUARANTINE = "earlierInQuarantine"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record and its error event.

    ``order_id``: what else is said of this order may have to wait for the record. ``said`` is what a contradiction is
    known by when it comes again.
    """

    source: SourceRecord
    notice: InputNotice
    channel: str | None = None
    order_id: str | None = None
    said: bytes | None = None


def malformed(source: SourceRecord, error: MalformedRecord, order_id: str | None = None) -> Rejection:
    """Return the rejection of a record that breaks its contract."""
    notice = InputMalformed(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=None,  # whatever stands there was not checked, and the stream keeps it for ever
        reason=error.reason,
        detail=_shortened(error.detail),
    )
    return Rejection(source, notice, order_id=order_id)


def waits_for_earlier(source: SourceRecord, order_id: str) -> Rejection:
    """Return the rejection of an order message that means nothing before an earlier one leaves quarantine."""
    notice = InputUnexpected(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=None,
        reason=EARLIER_IN_QUARANTINE,
        detail="an earlier message of this order is in quarantine; replay both once it is mended",
    )
    return Rejection(source, notice, order_id=order_id)


def order_of(source: SourceRecord) -> str | None:
    """Return the order that a record of the orders' topic is about, by its own word or else by its key."""
    try:
        probe = probe_order(source.value)
    except MalformedRecord:
        return source.key.decode(errors="replace") if source.key else None
    return probe.order_id if isinstance(probe, OrderProbe) else None


def contradiction(
    source: SourceRecord, record: AnyOrder | PaymentRecord, identity: str, said: bytes
) -> Rejection:
    """Return the rejection of a message that says something else than an earlier one of the same identity."""
    notice = InputUnexpected(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=record.event_id,
        reason="contradictsEarlier",
        detail=f"another {record.event_type} of the same identity was received before, with other content",
    )
    return Rejection(source, notice, record.channel, said=sha256(identity.encode() + said).digest())


def unknown_certificate(source: SourceRecord, event_id: str, detail: str, channel: str) -> Rejection:
    """Return the rejection of a message that names a certificate we never made."""
    notice = CertificateUnknown(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=event_id,
        reason="unknownCertificate",
        detail=_shortened(detail),
    )
    return Rejection(source, notice, channel)


def failed(source: SourceRecord, error: Exception, order_id: str | None = None) -> Rejection:
    """Return the rejection of a record that made its transaction fail for its own sake.

    Only the kind of the error is told: its text may quote the record.
    """
    notice = ProcessingFailed(
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=None,
        reason="recordFails",
        detail=type(getattr(error, "orig", None) or error).__name__,
        component=COMPONENT,
    )
    return Rejection(source, notice, order_id=order_id)


def _shortened(detail: str) -> str:
    return redact_text(detail)[:LONGEST_DETAIL]
