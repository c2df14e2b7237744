"""How the money of a sale's line stands, besides what its closed refund cases have counted.

Amounts are minor units of the order's currency.
"""

from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.state import Line, Sale
from giftcert.domain.money import worth_of_refund
from giftcert.domain.order.standing import LineRefund, LineStanding, LineWithdrawal


@dataclass(frozen=True, slots=True)
class ForeignMoney:
    """Money back in another currency than the order's, in minor units of the newest such currency.

    ``doubtful`` are the refunds that may as well mean another line: not allocated, and nobody said so.
    """

    amount: int
    currency: str
    doubtful: tuple[LineRefund, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleMoney:
    """The money that a refund case of a sale looks at.

    ``back`` went back and means the line, ``unassigned`` may mean it, ``leftover`` went back and no line can take it.
    ``settled`` is what earlier cases gave back of the price since the certificate was issued. ``counting`` is what a
    case that closes now counts of each refund, in its own currency.
    """

    price: int
    nominal: int
    captured: int
    back: int
    settled: int
    unassigned: int
    leftover: int
    foreign: ForeignMoney | None
    is_overdrawn: bool
    withdrawal: LineWithdrawal | None
    is_withdrawal_decided: bool
    is_approved: bool
    refund_id: str | None
    refunded_at: datetime | None
    counting: tuple[tuple[str, str, int], ...]
    cause: Cause | None

    @property
    def has_refunds(self) -> bool:
        """Whether money is back that means the line, or may mean it."""
        return self.back > 0 or self.unassigned > 0 or self.foreign is not None

    @property
    def excess(self) -> int:
        """What was captured beyond the price, as when a buyer was charged twice; it goes back first."""
        return max(0, self.captured - max(0, self.price - self.settled))

    @property
    def excess_back(self) -> int:
        """What of the excess is back."""
        return min(self.back, self.excess)

    @property
    def due(self) -> int:
        """What of the price is back."""
        return self.back - self.excess_back

    @property
    def owed(self) -> int:
        """What is not back of all that was captured."""
        return self.captured - self.back

    @property
    def excess_owed(self) -> int:
        """What is not back of the excess."""
        return self.excess - self.excess_back

    @property
    def lacking(self) -> int:
        """What of the price has not gone back yet."""
        return max(0, self.price - self.settled)

    def worth(self, amount: int) -> int:
        """Return what so much of the price is worth in nominal units, so that the parts of a price add up."""
        before = worth_of_refund(self.nominal, self.settled, self.price)
        return worth_of_refund(self.nominal, self.settled + amount, self.price) - before


def sale_money(sale: Sale, line: Line) -> SaleMoney:
    """Return how the money of a sale's line stands; one that was never taken, or was released, at the line's price."""
    standing, counted = line.standing, line.counted
    refunds = [one for one in standing.refunds if _uncounted(line, one) > 0]
    own = [one for one in refunds if one.currency == standing.currency]
    case = sale.open_case or line.open_case
    return SaleMoney(
        price=standing.price if sale.ended else sale.amount,
        nominal=sale.nominal,
        captured=standing.captured - counted.captured,
        back=sum(_certain(line, one) for one in own),
        settled=sum(one.counted - one.excess for one in sale.cases if not one.before_issue),
        unassigned=sum(one.possible for one in own if one.decided is None),
        leftover=sum(one.possible for one in own if one.decided is not None),
        foreign=_foreign(line, [one for one in refunds if one not in own]),
        is_overdrawn=any(one.overdrawn for one in own if _certain(line, one) > 0),
        withdrawal=standing.withdrawal,
        is_withdrawal_decided=(
            standing.withdrawal is not None and standing.withdrawal.said_in <= sale.withdrawal_decided
        ),
        is_approved=case is not None and case.approved is not None,
        refund_id=refunds[-1].refund_id if refunds else None,
        refunded_at=max((one.added_at for one in refunds), default=None),
        counting=tuple(
            (one.refund_id, one.currency, part) for one in refunds if (part := _certain(line, one)) > 0
        ),
        cause=_newest_cause(standing, refunds),
    )


def _certain(line: Line, refund: LineRefund) -> int:
    return max(0, refund.certain - line.counted.of(refund.refund_id, refund.currency))


def _uncounted(line: Line, refund: LineRefund) -> int:
    return _certain(line, refund) + refund.possible


def _foreign(line: Line, refunds: list[LineRefund]) -> ForeignMoney | None:
    if not refunds:
        return None
    currency = refunds[-1].currency
    return ForeignMoney(
        amount=sum(_uncounted(line, one) for one in refunds if one.currency == currency),
        currency=currency,
        doubtful=tuple(one for one in refunds if one.possible > 0),
    )


def _newest_cause(standing: LineStanding, refunds: list[LineRefund]) -> Cause | None:
    """The message that said the last of what a refund case looks at."""
    said = [one.cause for one in refunds]
    said += [standing.withdrawal.cause] if standing.withdrawal else []
    said += [standing.captured_cause] if standing.captured_cause else []
    return max(said, key=lambda cause: cause.occurred_at, default=None)
