"""Payments: to all certificates of their order, and to the certificate that pays. Pure."""

from giftcert.contracts.order_messages import Correlated
from giftcert.contracts.payment_messages import spending_message
from giftcert.contracts.payments import PaymentRecord
from kafka_ingest.gathering import Admission, Gathering
from kafka_ingest.ledger import Ledger
from kafka_ingest.line_alerts import alert_unknown_lines
from kafka_ingest.rejection import unknown_certificate
from kafka_ingest.source import SourceRecord


def apply_payment(
    gathering: Gathering, source: SourceRecord, record: PaymentRecord, *, waited: bool = False
) -> None:
    """Deliver a payment, or keep it until its order names a certificate.

    Args:
        gathering: what is known and planned so far.
        source: the record as it stands in its topic.
        record: the payment.
        waited: it was kept before. If a certificate was spent by it, it is in the inbox already.
    """
    ledger = gathering.ledger(record.order_id)
    if not waited:
        _report_unknown(gathering, source, record)
    admission = Admission.NEW
    if ledger is not None or (_spends_ours(gathering, record) and not waited):
        admission = gathering.admit(source, record)
    if admission is Admission.CONTRADICTION:
        return
    if ledger is None:
        if admission is Admission.NEW:
            gathering.plan.unmatched.append((source, record))
    elif admission is Admission.NEW or waited:
        _tell_order(gathering, ledger, source, record)
    if (
        not waited
    ):  # a repeat too: the certificate may have been imported since; what it heard is not delivered again
        _tell_spent(gathering, source, record)


def _tell_order(gathering: Gathering, ledger: Ledger, source: SourceRecord, record: PaymentRecord) -> None:
    past = ledger.remember(source, record)
    for certificate_id in ledger.certificates:
        told = past.for_certificate(Correlated(certificate_id=certificate_id))
        gathering.tell(certificate_id, told, ledger.channel)
    alert_unknown_lines(gathering, ledger, source, record)


def _spends_ours(gathering: Gathering, record: PaymentRecord) -> bool:
    return record.spent_certificate_id in gathering.known.certificates


def _tell_spent(gathering: Gathering, source: SourceRecord, record: PaymentRecord) -> None:
    """Tell the certificate that pays; its workflow, if it has to be started, runs where it was sold."""
    spent = record.spent_certificate_id
    if spent is None or not _spends_ours(gathering, record):
        return
    channel = gathering.served_channel(gathering.known.certificates[spent], record.channel)
    gathering.tell(spent, spending_message(record, source.topic), channel)


def _report_unknown(gathering: Gathering, source: SourceRecord, record: PaymentRecord) -> None:
    if record.spent_certificate_id is not None and not _spends_ours(gathering, record):
        detail = "certificateId: no such certificate"
        rejection = unknown_certificate(source, record.event_id, detail, record.channel)
        gathering.plan.rejections.append(rejection)
