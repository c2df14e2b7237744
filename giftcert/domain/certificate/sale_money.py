"""How the money of a sale's line stands, besides what its closed refund cases have counted.

Amounts are minor units of the order's currency.
"""

from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.state import Line, RefundCase, Sale
from giftcert.domain.money import worth_of_refund
from giftcert.domain.order.standing import LineRefund, LineWithdrawal


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
    ``settled`` is what earlier cases gave back of the price since the certificate was issued. ``refunds`` are those of
    which something is not counted yet.
    """

    sale: Sale
    line: Line
    captured: int
    back: int
    settled: int
    unassigned: int
    leftover: int
    foreign: ForeignMoney | None
    is_overdrawn: bool
    refunds: tuple[LineRefund, ...]

    @property
    def price(self) -> int:
        """What the sale costs; one that was never taken, or was released, as much as its line."""
        return self.line.standing.price if self.sale.ended else self.sale.amount

    @property
    def case(self) -> RefundCase | None:
        """The sale's open case, or the one that the line's last holder left."""
        return self.sale.open_case or self.line.open_case

    @property
    def is_approved(self) -> bool:
        """Whether a person allowed something to be taken once the money is back."""
        return self.case is not None and self.case.approved is not None

    @property
    def withdrawal(self) -> LineWithdrawal | None:
        """How the line left its order."""
        return self.line.standing.withdrawal

    @property
    def is_withdrawal_decided(self) -> bool:
        """Whether a person decided about the line that left its order, as the newest version says it did."""
        return self.withdrawal is not None and self.withdrawal.said_in <= self.sale.withdrawal_decided

    @property
    def excess(self) -> int:
        """What was captured beyond the price, as when a buyer was charged twice; it goes back first."""
        return max(0, self.captured - self.lacking)

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

    @property
    def refund_id(self) -> str | None:
        """The newest refund."""
        return self.refunds[-1].refund_id if self.refunds else None

    @property
    def refunded_at(self) -> datetime | None:
        """When the refunds last grew."""
        return max((one.added_at for one in self.refunds), default=None)

    @property
    def counting(self) -> tuple[tuple[str, str, int], ...]:
        """What a case that closes now counts of each refund, in its own currency."""
        parts = [(one.refund_id, one.currency, _certain(self.line, one)) for one in self.refunds]
        return tuple(part for part in parts if part[2] > 0)

    @property
    def cause(self) -> Cause | None:
        """The message that said the last of what a refund case looks at."""
        said = [one.cause for one in self.refunds]
        said += [self.withdrawal.cause] if self.withdrawal else []
        said += [self.line.standing.captured_cause] if self.line.standing.captured_cause else []
        return max(said, key=lambda cause: cause.occurred_at, default=None)

    def worth(self, amount: int) -> int:
        """Return what so much of the price is worth in nominal units, so that the parts of a price add up."""
        before = worth_of_refund(self.sale.nominal, self.settled, self.price)
        return worth_of_refund(self.sale.nominal, self.settled + amount, self.price) - before


def sale_money(sale: Sale, line: Line) -> SaleMoney:
    """Return how the money of a sale's line stands."""
    standing = line.standing
    refunds = tuple(one for one in standing.refunds if _certain(line, one) + one.possible > 0)
    own = [one for one in refunds if one.currency == standing.currency]
    return SaleMoney(
        sale=sale,
        line=line,
        captured=standing.captured - line.counted.captured,
        back=sum(_certain(line, one) for one in own),
        settled=sum(one.counted - one.excess for one in sale.cases if not one.before_issue),
        unassigned=sum(one.possible for one in own if one.decided is None),
        leftover=sum(one.possible for one in own if one.decided is not None),
        foreign=_foreign(line, [one for one in refunds if one.currency != standing.currency]),
        is_overdrawn=any(one.overdrawn for one in own if _certain(line, one) > 0),
        refunds=refunds,
    )


def _certain(line: Line, refund: LineRefund) -> int:
    return max(0, refund.certain - line.counted.of(refund.refund_id, refund.currency))


def _foreign(line: Line, refunds: list[LineRefund]) -> ForeignMoney | None:
    if not refunds:
        return None
    currency = refunds[-1].currency
    return ForeignMoney(
        amount=sum(_certain(line, one) + one.possible for one in refunds if one.currency == currency),
        currency=currency,
        doubtful=tuple(one for one in refunds if one.possible > 0),
    )
