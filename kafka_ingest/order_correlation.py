"""Orders: every version goes to every certificate ever mapped to it. Pure."""

from giftcert.contracts.order_messages import Correlated
from giftcert.contracts.orders import AnyOrder, OrderLine, StatedOrder
from giftcert.storage.orders import Snapshot, UnknownLine
from kafka_ingest.client_correlation import tell_of_customer
from kafka_ingest.gathering import Admission, Gathering
from kafka_ingest.ledger import Ledger, PastRecord
from kafka_ingest.line_alerts import alert_unknown_lines
from kafka_ingest.rejection import unknown_certificate
from kafka_ingest.source import SourceRecord


def apply_order(gathering: Gathering, source: SourceRecord, record: AnyOrder) -> None:
    """Deliver a version of an order, map the certificates that it names first, report those that are not ours."""
    ledger = gathering.ledger(record.order_id)
    if ledger is None and not _names_certificate(record):
        gathering.count(
            source, "goods"
        )  # what comes before the first version with a certificate leaves nothing
        return
    if gathering.admit(source, record) is not Admission.NEW:
        return
    first = ledger is None
    ledger = gathering.open_ledger(record.order_id)
    before, newer = ledger.snapshot, ledger.take_version(record)
    if isinstance(record, StatedOrder):
        _join(gathering, ledger, record)
    past = ledger.remember(source, record)
    _tell_all(gathering, ledger, past, record, replaced=before if newer else None, first=first)
    if newer and isinstance(record, StatedOrder):
        _note_unknown_lines(gathering, ledger, source, record)
    alert_unknown_lines(gathering, ledger, source, record)


def _names_certificate(record: AnyOrder) -> bool:
    return isinstance(record, StatedOrder) and bool(record.certificate_lines)


def _join(gathering: Gathering, ledger: Ledger, record: StatedOrder) -> None:
    """Map the certificates that are named for the first time; each hears all that was said before."""
    for line in record.certificate_lines:
        certificate_id = line.certificate_id or ""
        if not _is_ours(gathering, line) or certificate_id in ledger.certificates:
            continue
        ledger.certificates.append(certificate_id)
        gathering.plan.mappings.append((ledger.order_id, certificate_id))
        tell_of_customer(gathering, [certificate_id], ledger.customer_id, ledger.channel)
        for past in ledger.told_to_newcomer():
            told = past.for_certificate(Correlated(certificate_id=certificate_id))
            gathering.tell(certificate_id, told, ledger.channel)
    # Those that were there before hear of a buyer who is new to the order; what they heard is not delivered again.
    tell_of_customer(gathering, ledger.certificates, ledger.customer_id, ledger.channel)


def _is_ours(gathering: Gathering, line: OrderLine) -> bool:
    return line.certificate_id in gathering.known.certificates


def _tell_all(
    gathering: Gathering,
    ledger: Ledger,
    past: PastRecord,
    record: AnyOrder,
    *,
    replaced: Snapshot | None,
    first: bool,
) -> None:
    late = first and record.order_version > 1 and gathering.known.payments_were_dropped
    for certificate_id in ledger.certificates:
        correlated = Correlated(
            certificate_id=certificate_id,
            replaces=_replaced_by(certificate_id, ledger, record, replaced),
            earlier_payments_unknown=late,
        )
        gathering.tell(certificate_id, past.for_certificate(correlated), ledger.channel)


def _replaced_by(
    certificate_id: str, ledger: Ledger, record: AnyOrder, replaced: Snapshot | None
) -> str | None:
    """Return the certificate of ours that the line named one version earlier."""
    if replaced is None or not isinstance(record, StatedOrder):
        return None
    own = next((one for one in record.certificate_lines if one.certificate_id == certificate_id), None)
    before = replaced.certificate_on(own.line_id) if own else None
    return before if before != certificate_id and before in ledger.certificates else None


def _note_unknown_lines(
    gathering: Gathering, ledger: Ledger, source: SourceRecord, record: StatedOrder
) -> None:
    """Remember and report lines that name a certificate we never made; forget those that name one of ours now."""
    reported = []
    for line in record.certificate_lines:
        known = ledger.unknown_lines.get(line.line_id)
        if _is_ours(gathering, line):
            if ledger.unknown_lines.pop(line.line_id, None):
                gathering.plan.forget_unknown(ledger.order_id, line.line_id)
        elif known is None or known.named_certificate != line.certificate_id:
            alerted = known.alerted_amount if known else 0
            ledger.unknown_lines[line.line_id] = UnknownLine(line.certificate_id or "", alerted)
            gathering.plan.note_unknown(ledger.order_id, line.line_id, ledger.unknown_lines[line.line_id])
            reported.append(line.line_id)
    if reported:
        detail = f"lines {', '.join(reported)}: no such certificate"
        rejection = unknown_certificate(source, record.event_id, detail, record.channel)
        gathering.plan.rejections.append(rejection)
