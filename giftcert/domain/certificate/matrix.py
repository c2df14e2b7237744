"""The lifecycle as one full matrix, status x message. The core obeys it; the diagram and the tests read it.

A refused request is answered and leaves no event (ADR 61). After a change draw the diagram anew: ``python -m
tests.unit.domain.certificate.lifecycle_diagram > specs/diagrams/lifecycle.mmd``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import FOR_SALE, SOLD, SPENDABLE, Status


class Answer(StrEnum):
    """What becomes of a message; ``ignored`` is known, and nothing follows."""

    APPLIED = "applied"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a message does in a status, and the statuses to which it may lead besides staying."""

    answer: Answer
    to: tuple[Status, ...] = ()


MessageType: TypeAlias = type[m.Message]
S = Status
_Row: TypeAlias = dict[Status, Cell]


def _applied(*statuses: Status, to: Sequence[Status] = ()) -> _Row:
    return dict.fromkeys(statuses, Cell(Answer.APPLIED, tuple(to)))


_ALWAYS = _applied(*Status)
_IGNORED = dict.fromkeys(Status, Cell(Answer.IGNORED))
_REFUSED = dict.fromkeys(Status, Cell(Answer.REFUSED))
_MAY_BE_REFUNDED = _ALWAYS | _applied(*SOLD, S.EXPIRED, to=[S.REFUNDED])
_HOLD_MAY_END = _ALWAYS | _applied(*SPENDABLE, S.EXPIRED, to=[S.REFUNDED])

_ROWS: dict[MessageType, _Row] = {
    # One look may find a line that names the certificate, is paid, or has its money back.
    m.LineChanged: _MAY_BE_REFUNDED
    | _applied(S.AVAILABLE, to=[S.ORDERED, S.ISSUED])
    | _applied(S.RESERVED, to=[S.ORDERED, S.ISSUED, S.AVAILABLE])
    | _applied(S.ORDERED, to=[S.AVAILABLE, S.ISSUED]),
    # A refund that waits for a hold is carried out when the hold ends; a restored purchase counts as never made.
    m.SpendingReported: _MAY_BE_REFUNDED
    | _applied(S.ISSUED, to=[S.PARTIALLY_REDEEMED, S.REDEEMED, S.REFUNDED])
    | _applied(S.PARTIALLY_REDEEMED, to=[S.ISSUED, S.REDEEMED, S.REFUNDED])
    | _applied(S.REDEEMED, to=[S.ISSUED, S.PARTIALLY_REDEEMED, S.REFUNDED]),
    m.ReservationLapsed: _IGNORED | _applied(S.RESERVED, to=[S.AVAILABLE]),
    m.UnpaidDeadlinePassed: _IGNORED | _applied(S.ORDERED, to=[S.AVAILABLE]),
    m.RefundDeadlinePassed: _ALWAYS,
    m.HoldLapsed: _HOLD_MAY_END,
    m.NotificationOverdue: _IGNORED | _applied(S.ISSUED),
    m.ValidityEnded: _IGNORED | _applied(*SPENDABLE, to=[S.EXPIRED]),
    m.Reserve: _REFUSED | _applied(S.AVAILABLE, to=[S.RESERVED]),
    m.ExtendReservation: _REFUSED | _applied(S.RESERVED),
    m.ReleaseReservation: _REFUSED | _applied(S.RESERVED, to=[S.AVAILABLE]),
    m.AuthorizeRedemption: _ALWAYS,
    m.VoidRedemption: _HOLD_MAY_END,
    # Money in another currency may have meant the goods.
    m.ResolveRefund: _MAY_BE_REFUNDED | _applied(S.ORDERED, to=[S.AVAILABLE, S.ISSUED]),
    m.RequestNotification: _REFUSED | _applied(*SPENDABLE),
    m.Block: _REFUSED | _applied(S.AVAILABLE, S.RESERVED, S.ORDERED, *SOLD),
    m.Unblock: _ALWAYS | _applied(S.ISSUED, to=[S.REFUNDED]),
    # What is sold or on its way to be is blocked.
    m.Retire: _REFUSED | _applied(*FOR_SALE, to=[S.RETIRED]) | _applied(S.ORDERED, *SOLD),
    m.DiscloseCvc: _ALWAYS,
    m.LockVerification: _ALWAYS,
    m.UnlockVerification: _ALWAYS,
}

MATRIX: dict[tuple[Status, MessageType], Cell] = {
    (status, message): cells[status] for message, cells in _ROWS.items() for status in Status
}


def cell(status: Status, message: m.Message) -> Cell:
    """Return what the message does to a certificate of that status."""
    return MATRIX[status, type(message)]
