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
    """Deliver a version of an order, map the certificates that it names first, report those that are not ours.

    One that comes again is only looked at for certificates that we did not have when it came first.
    """
    ledger = gathering.ledger(record.order_id)
    if ledger is None and not _names_certificate(record):
        gathering.count(
            source, "goods"
        )  # what comes before the first version with a certificate leaves nothing
        return
    admission = gathering.admit(source, record)
    if admission is Admission.REPEAT and ledger is not None and isinstance(record, StatedOrder):
        _look_again(gathering, ledger, source, record)
    if admission is not Admission.NEW:
        return
    late = ledger is None and record.order_version > 1 and gathering.known.payments_were_dropped
    ledger = gathering.open_ledger(record.order_id)
    before, newer = ledger.snapshot, ledger.take_version(record)
    past = ledger.remember(source, record)
    if isinstance(record, StatedOrder):
        _join(gathering, ledger, record, late=late)
        # Those that were there before hear of a buyer who is new to the order; what they heard is not delivered again.
        tell_of_customer(gathering, ledger.certificates, ledger.customer_id, ledger.channel)
    _tell_all(gathering, ledger, past, record, before if newer else None)
    if newer and isinstance(record, StatedOrder):
        _note_unknown_lines(gathering, ledger, source, record)
    alert_unknown_lines(gathering, ledger, source, record)


def _names_certificate(record: AnyOrder) -> bool:
    return isinstance(record, StatedOrder) and bool(record.certificate_lines)


def _join(gathering: Gathering, ledger: Ledger, record: StatedOrder, *, late: bool = False) -> None:
    """Map the certificates that are named for the first time; each hears all that was ever said of the order."""
    newcomers = [
        line.certificate_id or ""
        for line in record.certificate_lines
        if _is_ours(gathering, line) and line.certificate_id not in ledger.certificates
    ]
    ledger.certificates += newcomers
    for certificate_id in newcomers:
        gathering.plan.mappings.append((ledger.order_id, certificate_id))
        tell_of_customer(gathering, [certificate_id], ledger.customer_id, ledger.channel)
        for told in ledger.told_to_newcomer(certificate_id, earlier_payments_unknown=late):
            gathering.tell(certificate_id, told, ledger.channel)


def _is_ours(gathering: Gathering, line: OrderLine) -> bool:
    return line.certificate_id in gathering.known.certificates


def _look_again(gathering: Gathering, ledger: Ledger, source: SourceRecord, record: StatedOrder) -> None:
    """Map what was imported since the record first came; when it is replayed, say what is unknown still."""
    _join(gathering, ledger, record)
    unknown = {line.line_id: line for line in record.certificate_lines if _is_noted(ledger, line)}
    for line in unknown.values():
        if _is_ours(gathering, line):
            _forget(gathering, ledger, line)
    still = [line_id for line_id, line in unknown.items() if not _is_ours(gathering, line)]
    if still and gathering.replaying:
        _report(gathering, source, record, still)


def _is_noted(ledger: Ledger, line: OrderLine) -> bool:
    """Whether the order's last word on this line is this certificate, and we did not know it."""
    known = ledger.unknown_lines.get(line.line_id)
    return known is not None and known.named_certificate == line.certificate_id


def _tell_all(
    gathering: Gathering, ledger: Ledger, past: PastRecord, record: AnyOrder, replaced: Snapshot | None
) -> None:
    """Tell all of a record; those that have just joined heard it with the rest."""
    for certificate_id in ledger.certificates:
        correlated = Correlated(
            certificate_id=certificate_id, replaces=ledger.replaced_by(certificate_id, record, replaced)
        )
        gathering.tell(certificate_id, past.for_certificate(correlated), ledger.channel)


def _note_unknown_lines(
    gathering: Gathering, ledger: Ledger, source: SourceRecord, record: StatedOrder
) -> None:
    """Remember and report lines that name a certificate we never made; forget those that name one of ours now."""
    reported = []
    for line in record.certificate_lines:
        known = ledger.unknown_lines.get(line.line_id)
        if _is_ours(gathering, line):
            _forget(gathering, ledger, line)
        elif known is None or known.named_certificate != line.certificate_id:
            alerted = known.alerted_amount if known else 0
            ledger.unknown_lines[line.line_id] = UnknownLine(line.certificate_id or "", alerted)
            gathering.plan.note_unknown(ledger.order_id, line.line_id, ledger.unknown_lines[line.line_id])
            reported.append(line.line_id)
    if reported:
        _report(gathering, source, record, reported)


def _forget(gathering: Gathering, ledger: Ledger, line: OrderLine) -> None:
    if ledger.unknown_lines.pop(line.line_id, None):
        gathering.plan.forget_unknown(ledger.order_id, line.line_id)


def _report(gathering: Gathering, source: SourceRecord, record: StatedOrder, line_ids: list[str]) -> None:
    detail = f"lines {', '.join(line_ids)}: no such certificate"
    rejection = unknown_certificate(source, record.event_id, detail, record.channel)
    gathering.plan.rejections.append(rejection)
