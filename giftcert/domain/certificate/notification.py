"""What CRM is asked to write to the client, and the alert where that does not reach anybody."""

from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.disclosure import refuse_disclosure
from giftcert.domain.certificate.messages import NotificationOverdue
from giftcert.domain.certificate.state import AwaitedFetch, CertificateState, Sale, Status
from giftcert.domain.certificate.words import NotificationKind, UndeliverableReason
from giftcert.domain.clients import Client, find_client, survivor_of


def announce(decision: Decision, cause: Cause | None = None) -> None:
    """Ask CRM to write to the client; where nobody can be written to, a person hears it at once."""
    asked = notification(decision)
    decision.record(asked, cause=cause)
    reason = _nobody_to_write_to(decision, asked)
    if reason is not None:
        _report(decision, asked.notification_id, reason, decision.now, cause)


def notification(decision: Decision) -> e.NotificationRequested:
    """Return the request to write to the client: a merge's survivor, ``suppressed`` for a blocked one."""
    sale, valid_until = _sold(decision)
    line, client = decision.state.line(sale.ref), _buyer(decision)
    erased = client is not None and client.erased
    return e.NotificationRequested(
        notification_id=decision.new_id(),
        kind=NotificationKind.CERTIFICATE_ISSUED,
        order_id=sale.order_id,
        customer_id=survivor_of(decision.terms.clients, sale.customer_id),
        recipient=line.recipient if line and not erased else None,
        preferred_channel=client.preferred_channel if client else None,
        locale=client.locale if client else None,
        valid_until=valid_until,
        suppressed=client.blocked if client else False,
    )


def _buyer(decision: Decision) -> Client | None:
    """The survivor of the buyer's merges as CRM last described it, else the buyer."""
    (sale, _), clients = _sold(decision), decision.terms.clients
    survivor = find_client(clients, survivor_of(clients, sale.customer_id))
    return survivor or find_client(clients, sale.customer_id)


def _sold(decision: Decision) -> tuple[Sale, datetime]:
    """The sale, and until when its certificate is valid."""
    sale = decision.state.sale
    if sale is None or sale.valid_until is None:
        raise ValueError("only an issued certificate is announced")
    return sale, sale.valid_until


def _nobody_to_write_to(decision: Decision, asked: e.NotificationRequested) -> UndeliverableReason | None:
    client = _buyer(decision)
    if client is not None and client.erased:
        return UndeliverableReason.CLIENT_ERASED
    if asked.suppressed:
        return UndeliverableReason.CLIENT_BLOCKED
    if asked.customer_id is None and asked.recipient is None:
        return UndeliverableReason.NO_ADDRESSEE
    return None


def fetch_that_is_due(state: CertificateState) -> AwaitedFetch | None:
    """Return the fetch of number and CVC that is awaited: who has spent anything has them."""
    may_be_fetched = state.status == Status.ISSUED and refuse_disclosure(state) is None
    return state.sale.awaited_fetch if state.sale and may_be_fetched else None


def overdue(decision: Decision, message: NotificationOverdue) -> None:
    """CRM has not fetched number and CVC in time: say so, once a notification."""
    _report(decision, message.notification_id, UndeliverableReason.NOT_FETCHED, message.since, None)


def _report(
    decision: Decision,
    notification_id: str,
    reason: UndeliverableReason,
    since: datetime,
    cause: Cause | None,
) -> None:
    sale, _ = _sold(decision)
    decision.record(
        e.NotificationUndeliverableAlerted(
            notification_id=notification_id,
            order_id=sale.order_id,
            line_id=sale.line_id,
            customer_id=survivor_of(decision.terms.clients, sale.customer_id),
            reason=reason,
            since=since,
            web_url=decision.terms.web_url,
        ),
        cause=cause,
    )
