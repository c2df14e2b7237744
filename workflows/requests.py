"""What doors ask of a certificate's workflow by update, and what it answers. Names and dataclasses only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain.messages import (
    AuthorizeRedemption,
    Block,
    RequestNotification,
    ResolveRefund,
    Unblock,
    VoidRedemption,
)
from giftcert.domain.state import Redemption, RefundCase

Request: TypeAlias = (
    AuthorizeRedemption | VoidRedemption | ResolveRefund | Block | Unblock | RequestNotification
)


class Refusal(StrEnum):
    """Why the workflow did not do what it was asked, besides the refusals of the domain."""

    TOO_LATE = "too-late"
    NOT_ALLOWED = "not-allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The certificate after the request, committed; ``refusal`` says why nothing was done.

    It is a ``RejectionReason`` for a redemption, a ``ResolutionRefusal`` for a decision, else a ``Refusal``.
    ``awaiting_second`` says that another person has to repeat the decision. Amounts are minor units.
    """

    status: str
    balance: int
    held: int
    refund_state: str
    refusal: str | None = None
    awaiting_second: bool = False
    redemption: Redemption | None = None
    case: RefundCase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Until when a request may be decided; later it is refused, so that its caller may safely ask again."""

    decide_before: datetime
