"""Lines whose newest certificate nobody knows: reported once, as is the money that comes for them. Pure.

No certificate of ours speaks for that money, so ingest does, and remembers in the line's row what it reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from giftcert.contracts.notices import about_input
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.public_events import PaymentWithoutCertificateAlerted
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
    reported = replace(
        known, certificate=standing.naming.certificate_id, captured=max(known.captured, standing.captured)
    )
    alerts = []
    if line.holder is None:  # else the holder speaks, also when it lets the line go
        foreign = [one for one in standing.foreign_captures if one.identity not in known.foreign]
        alerts = [_foreign(standing, one) for one in foreign]
        if standing.captured > known.captured:
            alerts.append(_captured(standing))
        reported = replace(reported, foreign=(*known.foreign, *(one.identity for one in foreign)))
    return replace(revision, line=replace(line, report=reported)), alerts


def unknown_lines(
    rows: Mapping[tuple[str, int], OrderLineRow],
    revisions: Sequence[LineRevision],
    folded: Mapping[str, FoldedOrder],
    *,
    replaying: bool,
) -> Iterator[Rejection]:
    """Yield one rejection for each order that newly names certificates that we never made.

    Args:
        rows: the lines as they were stored.
        revisions: those that stand otherwise.
        folded: the orders of the batch.
        replaying: whether somebody replays a record and waits to hear whether it is good now.
    """
    current = {one: row for one, row in rows.items() if one[0] in folded} | {
        one.line.key: one.line for one in revisions
    }
    unknown: dict[str, list[LineStanding]] = {}
    for key, line in current.items():
        named = line.standing.naming.certificate_id
        known = key in rows and rows[key].report.certificate == named
        if line.speaker is None and (replaying or not known):
            unknown.setdefault(key[0], []).append(line.standing)
    for order_id, standings in unknown.items():
        source = folded[order_id].source
        if source is not None:
            line_ids = ", ".join(one.line_id for one in standings)
            cause = standings[-1].naming.cause
            yield unknown_certificate(source, cause, f"lines {line_ids}: no such certificate")


def _captured(standing: LineStanding) -> EventRecord:
    alert = PaymentWithoutCertificateAlerted(
        order_id=standing.order_id,
        line_id=standing.line_id,
        amount=standing.captured,
        reason="unknownCertificate",
        web_url=None,
    )
    return _about(alert, standing.captured_cause, standing)


def _foreign(standing: LineStanding, capture: ForeignCapture) -> EventRecord:
    alert = PaymentWithoutCertificateAlerted(
        order_id=standing.order_id,
        line_id=standing.line_id,
        amount=capture.amount,
        reason="currencyMismatch",
        web_url=None,
        payment_id=capture.payment_id,
        foreign_currency=capture.currency,
    )
    return _about(alert, capture.cause, standing)


def _about(
    alert: PaymentWithoutCertificateAlerted, cause: Cause | None, standing: LineStanding
) -> EventRecord:
    at = cause.occurred_at if cause else standing.naming.occurred_at
    channel = cause.channel if cause else standing.channel
    return about_input(alert, at, channel, cause, standing.currency)
