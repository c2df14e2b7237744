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
        waited: it was kept before. If it names a certificate that it spends, it is in the inbox already.
    """
    ledger = gathering.ledger(record.order_id)
    admission = Admission.NEW
    if ledger is not None or (record.spent_certificate_id is not None and not waited):
        admission = gathering.admit(source, record)
    if admission is Admission.CONTRADICTION:
        return
    if ledger is None:
        if admission is Admission.NEW:
            gathering.plan.unmatched.append((source, record))
    elif admission is Admission.NEW or waited:
        _tell_order(gathering, ledger, source, record)
    if not waited:
        _tell_spent(gathering, source, record, admission)


def _tell_order(gathering: Gathering, ledger: Ledger, source: SourceRecord, record: PaymentRecord) -> None:
    past = ledger.remember(source, record)
    for certificate_id in ledger.certificates:
        told = past.for_certificate(Correlated(certificate_id=certificate_id))
        gathering.tell(certificate_id, told, ledger.channel)
    alert_unknown_lines(gathering, ledger, source, record)


def _tell_spent(
    gathering: Gathering, source: SourceRecord, record: PaymentRecord, admission: Admission
) -> None:
    """Tell the certificate that pays; its workflow, if it has to be started, runs where it was sold.

    A repeat tells it too: it may have been imported since, and what it heard is not delivered again.
    """
    spent = record.spent_certificate_id
    if spent is None:
        return
    if spent in gathering.known.certificates:
        channel = gathering.served_channel(gathering.known.certificates[spent], record.channel)
        gathering.tell(spent, spending_message(record, source.topic), channel)
    elif admission is Admission.NEW or gathering.replaying:
        detail = "certificateId: no such certificate"
        gathering.plan.rejections.append(unknown_certificate(source, record.event_id, detail, record.channel))
