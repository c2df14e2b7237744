"""When the certificate next has something due, and the message that says so."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.notification import fetch_that_is_due
from giftcert.domain.certificate.redemption_state import open_holds
from giftcert.domain.certificate.refunds import next_case_deadline
from giftcert.domain.certificate.sale import unpaid_at
from giftcert.domain.certificate.state import FINISHED, FOR_SALE, SPENDABLE, CertificateState, Status
from giftcert.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant and the message of the certificate then."""

    at: datetime
    message: m.DeadlinePassed

    @property
    def may_release(self) -> bool:
        """Whether time alone may then put the certificate back into the pool."""
        return isinstance(self.message, m.ReservationLapsed | m.UnpaidDeadlinePassed)

    @property
    def has_timer(self) -> bool:
        """Whether a run sets its timer to it. What is nearly always over long before, the sweep finds when due."""
        return not isinstance(self.message, m.NotificationOverdue)


def next_deadline(
    state: CertificateState, policy: Policy, passed_over: Collection[m.DeadlinePassed] = ()
) -> Deadline | None:
    """Return the earliest deadline not passed over. Granted instants are carried; alert intervals follow the policy."""
    due = (one for one in deadlines(state, policy) if one.message not in passed_over)
    return min(due, key=lambda deadline: deadline.at, default=None)


def deadlines(state: CertificateState, policy: Policy) -> list[Deadline]:
    """Return all deadlines, in no order."""
    reservation, sale = state.reservation, state.sale
    due: list[tuple[datetime | None, m.DeadlinePassed]] = []
    if state.status == Status.RESERVED and reservation is not None:
        due.append((reservation.reserved_until, m.ReservationLapsed(reservation.reservation_id)))
    if state.status == Status.ORDERED and sale is not None and sale.open_case is None:
        due.append((unpaid_at(sale, state.line(sale.ref), policy), m.UnpaidDeadlinePassed()))
    due += [
        (next_case_deadline(case, policy), m.RefundDeadlinePassed(case.refund_case_id))
        for one in state.sales
        for case in one.cases
    ]
    due += [(hold.expires_at, m.HoldLapsed(hold.redemption_id)) for hold in open_holds(state)]
    if (fetch := fetch_that_is_due(state)) is not None:
        overdue = m.NotificationOverdue(fetch.notification_id, fetch.requested_at)
        due.append((fetch.requested_at + policy.notification_wait, overdue))
    if state.status in SPENDABLE and sale is not None:
        due.append((sale.valid_until, m.ValidityEnded()))
    return [Deadline(at, message) for at, message in due if at is not None]


def is_over(state: CertificateState, policy: Policy) -> bool:
    """Return whether it is in the pool or finished, with nothing open. Lapses of reservations need no workflow."""
    due = any(not isinstance(one.message, m.ReservationLapsed) for one in deadlines(state, policy))
    is_open = any(sale.open_case for sale in state.sales) or bool(state.waits_for)
    return state.status in FOR_SALE | FINISHED and not is_open and not due
