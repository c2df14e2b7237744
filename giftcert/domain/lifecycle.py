"""The lifecycle as one full matrix, status x message. The core obeys it; the diagram and the tests read it.

Each cell says what a message does to a certificate of that status: a rule with the statuses it may lead to, ignored
(known, nothing follows), or unexpected (``error.unexpectedEvent``).

After a change draw it anew: ``python -m giftcert.domain.lifecycle > specs/diagrams/lifecycle.mmd``.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain import messages as m
from giftcert.domain.state import Status


class Rule(StrEnum):
    """The rule that a cell names; ``decide`` has the function of each."""

    IGNORED = "ignored"
    UNEXPECTED = "unexpected"
    RESERVE = "reserve"
    EXTEND_RESERVATION = "extendReservation"
    RELEASE_RESERVATION = "releaseReservation"
    RESERVATION_LAPSED = "reservationLapsed"
    RETIRE = "retire"
    ORDER = "order"
    PAYMENT = "payment"
    CLIENT = "client"
    UNPAID = "unpaid"
    REFUND_DEADLINE = "refundDeadline"
    AUTHORIZE_REDEMPTION = "authorizeRedemption"
    VOID_REDEMPTION = "voidRedemption"
    HOLD_LAPSED = "holdLapsed"
    SPENDING = "spending"
    RESOLVE_REFUND = "resolveRefund"
    REFUND_ASSIGNED = "refundAssigned"
    VALIDITY_ENDED = "validityEnded"
    BLOCK = "block"
    UNBLOCK = "unblock"
    NOTIFY_AGAIN = "notifyAgain"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a message does in a status: the rule, and the statuses to which it may lead besides staying."""

    rule: Rule
    to: tuple[Status, ...] = ()


MessageType: TypeAlias = type[m.Message]
S = Status
_SOLD = (S.ISSUED, S.PARTIALLY_REDEEMED, S.REDEEMED)
_ENDED = (S.REFUNDED, S.EXPIRED, S.RETIRED)
IGNORED = Cell(Rule.IGNORED)
UNEXPECTED = Cell(Rule.UNEXPECTED)


def _only(cells: dict[Status, Cell], other: Cell = UNEXPECTED) -> dict[Status, Cell]:
    return {status: cells.get(status, other) for status in Status}


def _always(rule: Rule, to: dict[Status, tuple[Status, ...]]) -> dict[Status, Cell]:
    """The same rule in every status, leading on from some."""
    return {status: Cell(rule, to.get(status, ())) for status in Status}


_ROWS: dict[MessageType, dict[Status, Cell]] = {
    m.Reserve: _only({S.AVAILABLE: Cell(Rule.RESERVE, (S.RESERVED,))}),
    m.ExtendReservation: _only({S.RESERVED: Cell(Rule.EXTEND_RESERVATION)}),
    m.ReleaseReservation: _only({S.RESERVED: Cell(Rule.RELEASE_RESERVATION, (S.AVAILABLE,))}),
    m.ReservationLapsed: _only({S.RESERVED: Cell(Rule.RESERVATION_LAPSED, (S.AVAILABLE,))}, IGNORED),
    m.OrderStated: _always(
        Rule.ORDER,
        {
            S.AVAILABLE: (S.ORDERED, S.ISSUED),
            S.RESERVED: (S.ORDERED, S.ISSUED, S.AVAILABLE),
            S.ORDERED: (S.AVAILABLE, S.ISSUED),
            S.ISSUED: (S.REFUNDED,),
            S.EXPIRED: (S.REFUNDED,),
        },
    ),
    # What is cancelled leaves its money to the other lines of the order.
    m.OrderCancelled: _always(
        Rule.ORDER,
        {
            S.AVAILABLE: (S.ORDERED, S.ISSUED),
            S.ORDERED: (S.AVAILABLE, S.ISSUED),
            S.ISSUED: (S.REFUNDED,),
            S.EXPIRED: (S.REFUNDED,),
        },
    ),
    # A return may show that a refund meant another line, and so let this one be issued. One that cost nothing is
    # refunded when it is returned, also after its validity.
    m.LinesReturned: _always(
        Rule.ORDER,
        {S.ORDERED: (S.AVAILABLE, S.ISSUED), S.ISSUED: (S.REFUNDED,), S.EXPIRED: (S.REFUNDED,)},
    ),
    m.PaymentAuthorized: _always(Rule.PAYMENT, {}),
    m.PaymentCaptured: _always(
        Rule.PAYMENT,
        {
            S.AVAILABLE: (S.ORDERED, S.ISSUED),
            S.ORDERED: (S.AVAILABLE, S.ISSUED),
            S.ISSUED: (S.REFUNDED,),
        },
    ),
    m.PaymentVoided: _always(Rule.PAYMENT, {}),
    m.PaymentRefunded: _always(Rule.PAYMENT, {S.ORDERED: (S.AVAILABLE,), S.ISSUED: (S.REFUNDED,)}),
    # A refund that waits for a hold is carried out when the hold ends; a restored purchase counts as never made.
    m.SpendingReported: _always(
        Rule.SPENDING,
        {
            S.ISSUED: (S.PARTIALLY_REDEEMED, S.REDEEMED, S.REFUNDED),
            S.PARTIALLY_REDEEMED: (S.ISSUED, S.REDEEMED, S.REFUNDED),
            S.REDEEMED: (S.ISSUED, S.PARTIALLY_REDEEMED, S.REFUNDED),
            S.EXPIRED: (S.REFUNDED,),
        },
    ),
    m.AuthorizeRedemption: _always(Rule.AUTHORIZE_REDEMPTION, {}),
    m.VoidRedemption: _always(Rule.VOID_REDEMPTION, {S.ISSUED: (S.REFUNDED,), S.EXPIRED: (S.REFUNDED,)}),
    m.RefundAssigned: _always(Rule.REFUND_ASSIGNED, {S.ORDERED: (S.ISSUED,), S.ISSUED: (S.REFUNDED,)}),
    m.ClientUpdated: _always(Rule.CLIENT, {}),
    m.UnpaidDeadlinePassed: _only({S.ORDERED: Cell(Rule.UNPAID, (S.AVAILABLE,))}, IGNORED),
    m.RefundDeadlinePassed: _always(Rule.REFUND_DEADLINE, {}),
    m.ValidityEnded: _only(
        {status: Cell(Rule.VALIDITY_ENDED, (S.EXPIRED,)) for status in (S.ISSUED, S.PARTIALLY_REDEEMED)},
        IGNORED,
    ),
    m.HoldLapsed: _always(Rule.HOLD_LAPSED, {S.ISSUED: (S.REFUNDED,), S.EXPIRED: (S.REFUNDED,)}),
    m.ResolveRefund: _always(
        Rule.RESOLVE_REFUND,
        {
            S.ORDERED: (S.AVAILABLE, S.ISSUED),  # money in another currency may have meant the goods
            S.ISSUED: (S.REFUNDED,),
            S.PARTIALLY_REDEEMED: (S.REFUNDED,),
            S.REDEEMED: (S.REFUNDED,),
            S.EXPIRED: (S.REFUNDED,),
        },
    ),
    m.RequestNotification: _only(dict.fromkeys((S.ISSUED, S.PARTIALLY_REDEEMED), Cell(Rule.NOTIFY_AGAIN))),
    m.Block: _only(dict.fromkeys((S.AVAILABLE, S.RESERVED, S.ORDERED, *_SOLD), Cell(Rule.BLOCK))),
    m.Unblock: _always(Rule.UNBLOCK, {S.ISSUED: (S.REFUNDED,)}),
    m.Retire: _only(dict.fromkeys((S.AVAILABLE, S.RESERVED), Cell(Rule.RETIRE, (S.RETIRED,)))),
}

MATRIX: dict[tuple[Status, MessageType], Cell] = {
    (status, message): cells[status] for message, cells in _ROWS.items() for status in Status
}


def cell(status: Status, message: m.Message) -> Cell:
    """Return what the message does to a certificate of that status."""
    return MATRIX[status, type(message)]


def render() -> str:
    """Return the lifecycle as a Mermaid state diagram: one arrow per pair of statuses, with its messages."""
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (status, message), found in MATRIX.items():
        for target in found.to:
            arrows.setdefault((status, target), []).append(message.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {S.AVAILABLE.value}: pool"]
    for (status, target), names in sorted(arrows.items()):
        lines.append(f"    {status.value} --> {target.value}: {', '.join(names)}")
    lines += [f"    {status.value} --> [*]" for status in _ENDED]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
