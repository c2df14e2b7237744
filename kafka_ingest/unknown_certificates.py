"""Lines whose newest certificate nobody knows: reported once, as is the money that comes for them. Pure.

No certificate of ours speaks for that money, so ingest does, and remembers in the line's row what it reported.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from giftcert.contracts.notices import about_input
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import PaymentWithoutCertificateAlerted
from giftcert.domain.order.standing import ForeignCapture, LineStanding
from giftcert.lifecycle.order_changes import LineRevision
from giftcert.storage.order_lines import OrderLineRow
from kafka_ingest.correlation import FoldedOrder
from kafka_ingest.quarantine import Rejection, unknown_certificate


def report(revision: LineRevision) -> tuple[LineRevision, list[EventRecord]]:
    """Return the line with what is reported of it, and the alerts for money that nobody speaks for."""
    line = revision.line
    if line.speaker is not None:
        return revision, []
    standing, known = line.standing, line.report
    alerts, foreign = [], []
    if line.holder is None:  # else the holder speaks, also when it lets the line go
        foreign = [one for one in standing.foreign_captures if one.identity not in known.foreign]
        alerts = [_alert(standing, one.cause, one.amount, one) for one in foreign]
        if standing.captured > known.captured:
            alerts.append(_alert(standing, standing.captured_cause, standing.captured))
    reported = replace(
        known,
        certificate=standing.naming.certificate_id,
        captured=max(known.captured, standing.captured),
        foreign=(*known.foreign, *(one.identity for one in foreign)),
    )
    return replace(revision, line=replace(line, report=reported)), alerts


def unknown_lines(
    lines: Iterable[OrderLineRow], folded: Mapping[str, FoldedOrder], *, replaying: bool
) -> Iterator[Rejection]:
    """Yield one rejection for each order that newly names certificates that we never made.

    Args:
        lines: the lines of the orders, as they now stand, before anything is reported of them.
        folded: the orders of the batch.
        replaying: whether somebody replays a record and waits to hear whether it is good now.
    """
    unknown: dict[str, list[LineStanding]] = {}
    for line in lines:
        is_news = line.report.certificate != line.standing.naming.certificate_id
        if line.speaker is None and (is_news or replaying):
            unknown.setdefault(line.standing.order_id, []).append(line.standing)
    for order_id, standings in unknown.items():
        source = folded[order_id].source
        if source is not None:
            line_ids = ", ".join(one.line_id for one in standings)
            cause = standings[-1].naming.cause
            yield unknown_certificate(source, cause, f"lines {line_ids}: no such certificate")


def _alert(
    standing: LineStanding, cause: Cause | None, amount: int, foreign: ForeignCapture | None = None
) -> EventRecord:
    alert = PaymentWithoutCertificateAlerted(
        order_id=standing.order_id,
        line_id=standing.line_id,
        amount=amount,
        reason="currencyMismatch" if foreign else "unknownCertificate",
        web_url=None,
        payment_id=foreign.payment_id if foreign else None,
        foreign_currency=foreign.currency if foreign else None,
    )
    at = (cause or standing.naming.cause).occurred_at
    return about_input(alert, at, standing.channel, cause, standing.currency)
