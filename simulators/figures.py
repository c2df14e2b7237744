"""The figures that BI reports of the stream, "How BI counts" in contracts.md. Amounts in minor units."""

from dataclasses import dataclass

from simulators.stream import Event


@dataclass(slots=True)
class Figures:
    """What only ever adds up. ``uncovered`` and ``goods_uncovered`` are what the service answers for no more.

    The first is money that went back for balances already spent, the second goods that left a shop while the
    certificate did not pay, or spending that came back onto one that is no more.
    """

    issued: int = 0
    sold: int = 0
    refunded: int = 0
    discount: int = 0
    breakage: int = 0
    redeemed: int = 0
    uncovered: int = 0
    goods_uncovered: int = 0

    @property
    def revenue(self) -> int:
        """Sold less refunded."""
        return self.sold - self.refunded

    def count(self, event: Event) -> None:
        """Take in an event that is new."""
        if event.event_type == "refund.completed":
            self._count_refund(event)
            return
        amount = event.amount("amount")
        match event.event_type:
            case "issue.completed":
                self.issued += 1
                self.sold += amount
                self.discount += (event.nominal.amount if event.nominal else 0) - amount
            case "redemption.captured":
                self.redeemed += amount
            case "redemption.restored":
                self.redeemed -= amount
            case "alert.redemptionUncovered":
                self.goods_uncovered += amount
            case "audit.expired":
                self.breakage += event.amount("breakage")
            case _:
                pass  # the others move no money

    def _count_refund(self, event: Event) -> None:
        if not event.payload.get("beforeIssue"):
            self.refunded += event.amount("amount")
            self.uncovered += event.amount("uncovered")
