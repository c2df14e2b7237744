"""When the certificate next has something due, and the message that says so."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.domain import messages as m
from giftcert.domain.line_money import unpaid_at
from giftcert.domain.policy import Policy
from giftcert.domain.redemptions import open_holds
from giftcert.domain.refunds import next_case_deadline
from giftcert.domain.state import CertificateState, Sale, Status


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant and what to tell the certificate then."""

    at: datetime
    message: m.DeadlineMessage


def next_deadline(state: CertificateState, policy: Policy) -> Deadline | None:
    """Return the earliest deadline, or ``None`` if nothing is due ever.

    Granted instants are carried in the state; only the intervals of repeated alerts follow the policy as it now is.
    """
    return min(deadlines(state, policy), key=lambda deadline: deadline.at, default=None)


def deadlines(state: CertificateState, policy: Policy) -> tuple[Deadline, ...]:
    """Return all deadlines, in no order."""
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    found = [deadline for sale in sales for deadline in _case_deadlines(sale, policy)]
    if state.sale is not None:
        found += _unpaid(state, state.sale, policy) + _validity(state, state.sale)
    return (*found, *_holds(state))


def _case_deadlines(sale: Sale, policy: Policy) -> tuple[Deadline, ...]:
    due = ((case, next_case_deadline(case, policy)) for case in sale.cases)
    return tuple(
        Deadline(
            at,
            m.RefundDeadlinePassed(
                key=_key("refund", case.refund_case_id, at), refund_case_id=case.refund_case_id
            ),
        )
        for case, at in due
        if at is not None
    )


def _unpaid(state: CertificateState, sale: Sale, policy: Policy) -> list[Deadline]:
    at = unpaid_at(state.order(sale.order_id), sale, policy)
    if state.status != Status.ORDERED or sale.open_case is not None or at is None:
        return []
    return [Deadline(at, m.UnpaidDeadlinePassed(key=_key("unpaid", sale.order_id, at)))]


def _validity(state: CertificateState, sale: Sale) -> list[Deadline]:
    at = sale.valid_until
    if state.status not in {Status.ISSUED, Status.PARTIALLY_REDEEMED} or at is None:
        return []
    return [Deadline(at, m.ValidityEnded(key=_key("validity", sale.order_id, at)))]


def _holds(state: CertificateState) -> list[Deadline]:
    return [
        Deadline(
            hold.expires_at,
            m.HoldLapsed(
                key=_key("hold", hold.redemption_id, hold.expires_at), redemption_id=hold.redemption_id
            ),
        )
        for hold in open_holds(state)
        if hold.expires_at is not None
    ]


def _key(what: str, of: str, at: datetime) -> str:
    """A deadline is told once: its key is what it is about and its instant."""
    return f"deadline:{what}:{of}:{at.isoformat()}"
