"""The lifecycle as one full matrix, status x message. The core obeys it; the diagram and the tests read it.

Each cell says what a message does to a certificate of that status: it is applied and may lead to some statuses, it is
ignored (known, nothing follows), or a request is refused, as its caller hears and no event says (ADR 61).

After a change draw it anew: ``python -m giftcert.domain.certificate.matrix > specs/diagrams/lifecycle.mmd``.
"""

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import ENDED, SOLD, SPENDABLE, Status


class Answer(StrEnum):
    """What becomes of a message."""

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
_MAY_HAVE_HELD = (S.ISSUED, S.PARTIALLY_REDEEMED, S.EXPIRED)
IGNORED = Cell(Answer.IGNORED)
REFUSED = Cell(Answer.REFUSED)
APPLIED = Cell(Answer.APPLIED)


def _only(cells: dict[Status, Cell], other: Cell = REFUSED) -> dict[Status, Cell]:
    return {status: cells.get(status, other) for status in Status}


def _always(to: dict[Status, tuple[Status, ...]] | None = None) -> dict[Status, Cell]:
    """Applied in every status, leading on from some."""
    return {status: Cell(Answer.APPLIED, (to or {}).get(status, ())) for status in Status}


_ROWS: dict[MessageType, dict[Status, Cell]] = {
    # One look may find a line that names the certificate, is paid, or has its money back.
    m.LineChanged: _always(
        {
            S.AVAILABLE: (S.ORDERED, S.ISSUED),
            S.RESERVED: (S.ORDERED, S.ISSUED, S.AVAILABLE),
            S.ORDERED: (S.AVAILABLE, S.ISSUED),
            S.ISSUED: (S.REFUNDED,),
            S.PARTIALLY_REDEEMED: (S.REFUNDED,),
            S.REDEEMED: (S.REFUNDED,),
            S.EXPIRED: (S.REFUNDED,),
        }
    ),
    # A refund that waits for a hold is carried out when the hold ends; a restored purchase counts as never made.
    m.SpendingReported: _always(
        {
            S.ISSUED: (S.PARTIALLY_REDEEMED, S.REDEEMED, S.REFUNDED),
            S.PARTIALLY_REDEEMED: (S.ISSUED, S.REDEEMED, S.REFUNDED),
            S.REDEEMED: (S.ISSUED, S.PARTIALLY_REDEEMED, S.REFUNDED),
            S.EXPIRED: (S.REFUNDED,),
        }
    ),
    m.ReservationLapsed: _only({S.RESERVED: Cell(Answer.APPLIED, (S.AVAILABLE,))}, IGNORED),
    m.UnpaidDeadlinePassed: _only({S.ORDERED: Cell(Answer.APPLIED, (S.AVAILABLE,))}, IGNORED),
    m.RefundDeadlinePassed: _always(),
    m.HoldLapsed: _always(dict.fromkeys(_MAY_HAVE_HELD, (S.REFUNDED,))),
    m.ValidityEnded: _only(dict.fromkeys(SPENDABLE, Cell(Answer.APPLIED, (S.EXPIRED,))), IGNORED),
    m.Reserve: _only({S.AVAILABLE: Cell(Answer.APPLIED, (S.RESERVED,))}),
    m.ExtendReservation: _only({S.RESERVED: APPLIED}),
    m.ReleaseReservation: _only({S.RESERVED: Cell(Answer.APPLIED, (S.AVAILABLE,))}),
    m.AuthorizeRedemption: _always(),
    m.VoidRedemption: _always(dict.fromkeys(_MAY_HAVE_HELD, (S.REFUNDED,))),
    m.ResolveRefund: _always(
        {
            S.ORDERED: (S.AVAILABLE, S.ISSUED),  # money in another currency may have meant the goods
            S.ISSUED: (S.REFUNDED,),
            S.PARTIALLY_REDEEMED: (S.REFUNDED,),
            S.REDEEMED: (S.REFUNDED,),
            S.EXPIRED: (S.REFUNDED,),
        }
    ),
    m.RequestNotification: _only(dict.fromkeys(SPENDABLE, APPLIED)),
    m.Block: _only(dict.fromkeys((S.AVAILABLE, S.RESERVED, S.ORDERED, *SOLD), APPLIED)),
    m.Unblock: _always({S.ISSUED: (S.REFUNDED,)}),
    # What is sold or on its way to be is blocked.
    m.Retire: _only(
        dict.fromkeys((S.AVAILABLE, S.RESERVED), Cell(Answer.APPLIED, (S.RETIRED,)))
        | dict.fromkeys((S.ORDERED, *SOLD), APPLIED)
    ),
    m.DiscloseCvc: _always(),
    m.LockVerification: _always(),
    m.UnlockVerification: _always(),
}

MATRIX: dict[tuple[Status, MessageType], Cell] = {
    (status, message): cells[status] for message, cells in _ROWS.items() for status in Status
}


def cell(status: Status, message: m.Message) -> Cell:
    """Return what the message does to a certificate of that status."""
    return MATRIX[status, type(message)]


def render() -> str:
    """Return the lifecycle as a Mermaid state diagram.

    There is one arrow per pair of statuses, with its messages, and a note per status with the requests that it refuses.
    """
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (status, message), found in MATRIX.items():
        for target in found.to:
            arrows.setdefault((status, target), []).append(message.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {S.AVAILABLE.value}: pool"]
    for (status, target), names in sorted(arrows.items()):
        lines.append(f"    {status.value} --> {target.value}: {', '.join(names)}")
    lines += [f"    {status.value} --> [*]" for status in Status if status in ENDED]
    for status in Status:
        refused = [message.__name__ for message, cells in _ROWS.items() if cells[status] == REFUSED]
        lines.append(f"    note right of {status.value}: refuses {', '.join(refused)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
