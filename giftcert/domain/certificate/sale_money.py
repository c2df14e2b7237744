"""How the money of a sale's line stands, in the order's currency, less what closed refund cases have counted."""

from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.state import Line, RefundCase, Sale
from giftcert.domain.money import worth_of_refund
from giftcert.domain.order.standing import LineRefund, LineWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleMoney:
    """The money that a refund case of a sale looks at."""

    sale: Sale
    line: Line
    captured: int
    back: int  # went back and means the line
    unassigned: int  # went back and may mean the line
    leftover: int  # went back and no line can take it
    settled: int  # of the price, given back by earlier cases since issue
    is_overdrawn: bool  # a payment gave back more than it brought
    refunds: tuple[LineRefund, ...]
    foreign: tuple[LineRefund, ...]  # those of refunds in other currencies

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
        """Whether a person decided about the withdrawal as the newest version says it."""
        return self.withdrawal is not None and self.withdrawal.said_in <= self.sale.withdrawal_decided

    @property
    def doubtful(self) -> tuple[LineRefund, ...]:
        """Foreign refunds that may as well mean another line."""
        return tuple(one for one in self.foreign if one.possible > 0)

    @property
    def owed(self) -> int:
        """Captured and not back."""
        return self.captured - self.back

    @property
    def lacking(self) -> int:
        """What of the price has not gone back."""
        return max(0, self.price - self.settled)

    @property
    def excess(self) -> int:
        """Captured beyond the price, as when a buyer was charged twice; it goes back first."""
        return max(0, self.captured - self.lacking)

    @property
    def excess_back(self) -> int:
        """What of the excess is back."""
        return min(self.back, self.excess)

    @property
    def excess_owed(self) -> int:
        """What of the excess is not back."""
        return self.excess - self.excess_back

    @property
    def due(self) -> int:
        """What of the price is back."""
        return self.back - self.excess_back

    def worth(self, amount: int) -> int:
        """Return what so much of the price is worth in nominal units, so that the parts of a price add up."""
        before = worth_of_refund(self.sale.nominal, self.settled, self.price)
        return worth_of_refund(self.sale.nominal, self.settled + amount, self.price) - before

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
        return tuple((one.refund_id, one.currency, one.certain) for one in self.refunds if one.certain > 0)

    @property
    def cause(self) -> Cause | None:
        """The newest message that a refund case looks at."""
        said = [one.cause for one in self.refunds]
        said += [self.withdrawal.cause] if self.withdrawal else []
        said += [self.line.standing.captured_cause] if self.line.standing.captured_cause else []
        return max(said, key=lambda cause: cause.occurred_at, default=None)


def sale_money(sale: Sale, line: Line) -> SaleMoney:
    """Return how the money of a sale's line stands."""
    standing, counted = line.standing, line.counted
    net = (
        replace(one, certain=max(0, one.certain - counted.of(one.refund_id, one.currency)))
        for one in standing.refunds
    )
    refunds = tuple(one for one in net if one.certain + one.possible > 0)
    own = [one for one in refunds if one.currency == standing.currency]
    return SaleMoney(
        sale=sale,
        line=line,
        captured=standing.captured - counted.captured,
        back=sum(one.certain for one in own),
        unassigned=sum(one.possible for one in own if one.decided is None),
        leftover=sum(one.possible for one in own if one.decided is not None),
        settled=sum(one.counted - one.excess for one in sale.cases if not one.before_issue),
        is_overdrawn=any(one.overdrawn for one in own if one.certain > 0),
        refunds=refunds,
        foreign=tuple(one for one in refunds if one.currency != standing.currency),
    )
