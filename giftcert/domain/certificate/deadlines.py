"""When the certificate next has something due, and the message that says so."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.redemptions import open_holds
from giftcert.domain.certificate.refunds import next_case_deadline
from giftcert.domain.certificate.sale import unpaid_at
from giftcert.domain.certificate.state import FINISHED, FOR_SALE, SPENDABLE, CertificateState, Status
from giftcert.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant and what to tell the certificate then; ``may_release``: time alone may put it back into the pool."""

    at: datetime
    message: m.DeadlinePassed
    may_release: bool = False


def next_deadline(
    state: CertificateState, policy: Policy, passed_over: Collection[m.DeadlinePassed] = ()
) -> Deadline | None:
    """Return the earliest deadline whose message is not among some, or ``None`` if nothing is due ever.

    Granted instants are carried in the state; only the intervals of repeated alerts follow the policy as it now is.
    """
    due = (one for one in deadlines(state, policy) if one.message not in passed_over)
    return min(due, key=lambda deadline: deadline.at, default=None)


def deadlines(state: CertificateState, policy: Policy) -> Iterator[Deadline]:
    """Yield all deadlines, in no order."""
    reservation, sale = state.reservation, state.sale
    if state.status == Status.RESERVED and reservation is not None:
        lapsed = m.ReservationLapsed(reservation.reservation_id)
        yield Deadline(reservation.reserved_until, lapsed, may_release=True)
    if state.status == Status.ORDERED and sale is not None and sale.open_case is None:
        at = unpaid_at(sale, state.line(sale.ref), policy)
        if at is not None:
            yield Deadline(at, m.UnpaidDeadlinePassed(), may_release=True)
    if state.status in SPENDABLE and sale is not None and sale.valid_until is not None:
        yield Deadline(sale.valid_until, m.ValidityEnded())
    for case in (case for one in state.sales for case in one.cases):
        if (at := next_case_deadline(case, policy)) is not None:
            yield Deadline(at, m.RefundDeadlinePassed(case.refund_case_id))
    for hold in open_holds(state):
        if hold.expires_at is not None:
            yield Deadline(hold.expires_at, m.HoldLapsed(hold.redemption_id))


def is_over(state: CertificateState, policy: Policy) -> bool:
    """Return whether the certificate is in the pool or finished, and nothing of it is open.

    The lapse of a reservation alone needs no workflow: a set statement takes care of it.
    """
    due = any(not isinstance(one.message, m.ReservationLapsed) for one in deadlines(state, policy))
    is_open = any(sale.open_case for sale in state.sales) or bool(state.waits_for)
    return state.status in FOR_SALE | FINISHED and not is_open and not due
