"""The decision: what follows when a certificate of this state is told this message now."""

from collections.abc import Callable
from datetime import datetime

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain import people, pool, refunds, resolution, sale, spending
from giftcert.domain.decision import Decision
from giftcert.domain.events import Event
from giftcert.domain.identifiers import NewId
from giftcert.domain.lifecycle import Rule, cell
from giftcert.domain.policy import Terms
from giftcert.domain.state import CertificateState


def decide(
    state: CertificateState, message: m.Message, now: datetime, terms: Terms, new_id: NewId
) -> tuple[Event, ...]:
    """Return the events that follow, public and private, in order.

    Nothing is raised for any status and message: what does not fit is ``error.unexpectedEvent``.
    """
    decision = Decision(state, now, terms, new_id)
    _RULES[cell(state.status, message).rule](decision, message)
    return tuple(decision.events)


def _ignore(_: Decision, __: m.Message) -> None:
    """Known, and nothing follows."""


def _unexpected(decision: Decision, message: m.Message) -> None:
    detail = f"{type(message).__name__} does not fit a certificate that is {decision.state.shown_status}"
    decision.record(e.UnexpectedMessage(reason="statusDoesNotAllow", detail=detail))


def _refund_deadline(decision: Decision, message: m.RefundDeadlinePassed) -> None:
    refunds.refund_deadline_passed(decision, message)
    sale.settle(decision)


_RULES: dict[Rule, Callable[[Decision, m.Message], None]] = {
    Rule.IGNORED: _ignore,
    Rule.UNEXPECTED: _unexpected,
    Rule.RESERVE: pool.reserve,  # type: ignore[dict-item] # the matrix gives each rule its own messages only
    Rule.EXTEND_RESERVATION: pool.extend_reservation,  # type: ignore[dict-item]
    Rule.RELEASE_RESERVATION: pool.release_reservation,  # type: ignore[dict-item]
    Rule.RESERVATION_LAPSED: pool.reservation_lapsed,  # type: ignore[dict-item]
    Rule.RETIRE: people.retire,  # type: ignore[dict-item]
    Rule.ORDER: sale.order_recorded,  # type: ignore[dict-item]
    Rule.PAYMENT: sale.payment_recorded,  # type: ignore[dict-item]
    Rule.CLIENT: sale.client_updated,  # type: ignore[dict-item]
    Rule.UNPAID: sale.unpaid_deadline_passed,  # type: ignore[dict-item]
    Rule.REFUND_DEADLINE: _refund_deadline,  # type: ignore[dict-item]
    Rule.VALIDITY_ENDED: people.validity_ended,  # type: ignore[dict-item]
    Rule.AUTHORIZE_REDEMPTION: spending.authorize,  # type: ignore[dict-item]
    Rule.VOID_REDEMPTION: spending.void,  # type: ignore[dict-item]
    Rule.HOLD_LAPSED: spending.hold_lapsed,  # type: ignore[dict-item]
    Rule.SPENDING: spending.spending_reported,  # type: ignore[dict-item]
    Rule.RESOLVE_REFUND: resolution.resolve_refund,  # type: ignore[dict-item]
    Rule.REFUND_ASSIGNED: resolution.refund_assigned,  # type: ignore[dict-item]
    Rule.BLOCK: people.block,  # type: ignore[dict-item]
    Rule.UNBLOCK: people.unblock,  # type: ignore[dict-item]
    Rule.NOTIFY_AGAIN: people.notify_again,  # type: ignore[dict-item]
}
