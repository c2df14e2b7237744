"""What the naive book keeps of orders and certificates: integers, strings and lists, added up when asked."""

from dataclasses import dataclass, field
from datetime import datetime

SHOWN = {"capture": "awaitingCapture", "rest": "requested", "payment": "requested"}
FIRST = ("pendingDetails", "awaitingCapture", "requested", "completed", "rejected")


@dataclass
class Refund:
    payment: str
    to: dict[str, int]
    foreign: bool
    at: datetime


@dataclass
class Order:
    """``lines`` has price and certificate of each line, ``ever`` the last price of each that was.

    ``left`` has the version that last said that a line is out, ``how`` in which way, ``named`` the certificate that was
    put on a line last.
    """

    clear: bool = True
    version: int = 0
    ever: dict[str, int] = field(default_factory=dict)
    lines: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    named: dict[str, str | None] = field(default_factory=dict)
    captures: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    refunds: dict[str, Refund] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    refunded: int = 0

    def captured(self, line: str) -> int:
        return sum(to.get(line, 0) for _, to in self.captures)

    def is_final(self, line: str) -> bool:
        """Whether a line was cancelled or returned, which is for good."""
        return self.how.get(line, "removed") != "removed"

    def refunded_at(self, line: str, besides: set[str]) -> datetime | None:
        """When the newest refund came that names the line."""
        return max((self.refunds[name].at for name in self.new(line, besides)), default=None)

    def back(self, line: str, besides: set[str]) -> int:
        return sum(
            one.to.get(line, 0)
            for name, one in self.refunds.items()
            if name not in besides and not one.foreign
        )

    def new(self, line: str, besides: set[str]) -> list[str]:
        return [name for name, one in self.refunds.items() if line in one.to and name not in besides]

    def overdrawn(self, payment: str) -> bool:
        brought = sum(sum(to.values()) for one, to in self.captures if one == payment)
        gave = sum(
            sum(one.to.values())
            for one in self.refunds.values()
            if one.payment == payment and not one.foreign
        )
        return gave > brought

    def over_refunded(self) -> bool:
        """Whether refunds name lines that never brought as much: then some money may be counted for two lines."""
        return any(self.back(line, set()) > self.captured(line) for line in self.ever)

    def look_whether_clear(self) -> None:
        """Money beyond a line's price, or back beyond what it brought, touches other lines: too much for us."""
        for line, price in self.ever.items():
            if self.captured(line) > price:
                self.clear = False
            if len(self.ever) > 1 and self.back(line, set()) > self.captured(line):
                self.clear = False


@dataclass
class Case:
    """``since`` is when what is awaited was asked for; ``approved`` and ``agreed`` are what persons said."""

    since: datetime
    reason: str | None = None
    awaiting: str | None = None
    amount: int = 0
    newest: str | None = None
    overdue: bool = False
    approved: int | None = None
    agreed: tuple[str, int | None, str] | None = None

    @property
    def shown(self) -> str:
        return "pendingDetails" if self.reason else SHOWN[self.awaiting or ""]


@dataclass
class Sale:
    order: str
    line: str
    price: int
    issued: bool = False
    counted: set[str] = field(default_factory=set)
    settled: int = 0
    returned: int = 0
    decided: int = 0
    case: Case | None = None
    closed: list[str] = field(default_factory=list)

    @property
    def refund_state(self) -> str:
        states = {*self.closed, *([self.case.shown] if self.case else [])}
        return next((state for state in FIRST if state in states), "none")


@dataclass
class Purchase:
    """``state`` is held, lapsed, voided or captured; ``lapsed`` what was held until then, ``unheld`` never was."""

    state: str
    order: str
    channel: str | None
    held: int = 0
    payment: str | None = None
    until: datetime | None = None
    lapsed: int = 0
    spent: int = 0
    unheld: int = 0
    restored: int = 0


@dataclass
class Card:
    """``phase`` is available, reserved, ordered, live, refunded, expired or retired."""

    nominal: int
    phase: str = "available"
    blocked: bool = False
    balance: int = 0
    taken: int = 0
    uncovered: int = 0
    breakage: int = 0
    valid_until: datetime | None = None
    sale: Sale | None = None
    sales: dict[tuple[str, str], Sale] = field(default_factory=dict)
    purchases: dict[str, Purchase] = field(default_factory=dict)
    frozen: bool = False

    @property
    def held(self) -> int:
        return sum(one.held for one in self.purchases.values())

    @property
    def spent(self) -> int:
        return sum(one.spent - one.restored for one in self.purchases.values())

    @property
    def status(self) -> str:
        if self.blocked:
            return "blocked"
        if self.phase != "live":
            return self.phase
        if self.spent == 0:
            return "issued"
        return "redeemed" if self.balance == self.held == 0 else "partiallyRedeemed"

    @property
    def spendable(self) -> bool:
        redeemed = self.spent > 0 and self.balance == self.held == 0
        return self.phase == "live" and not redeemed
