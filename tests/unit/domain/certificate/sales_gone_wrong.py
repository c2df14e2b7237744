"""Sales that go wrong in some way, and a naive book of what is surely captured, refunded and owed.

What is expected is reckoned from the records alone.
"""

from dataclasses import replace

from hypothesis import strategies as st

from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.orders_of_arrival import Record, interleaved, stated, with_repeats

GOODS = (make.goods("1", 250_000), make.goods("4", 500_000))
GIFTS = (make.gift("2"), make.gift("3"), make.gift("5", 450_000))
AMOUNTS = (100_000, 250_000, 450_000, 500_000, 750_000, 1_000_000)
SAME = make.cause("any")


class Book:
    """A naive reckoning: which lines the order gave up, and what is surely captured and refunded."""

    def __init__(self, records: list[Record]) -> None:
        seen: set[Record] = set()
        self.lines: dict[str, o.OrderLine] = {}
        self.withdrawn: set[str] = set()
        self.removed: set[str] = set()
        self.there: set[str] = set()
        self.captures: list[o.PaymentCaptured] = []
        self.refunds: list[o.PaymentRefunded] = []
        for record in records:
            same = replace(record, cause=SAME)
            if same not in seen:
                seen.add(same)
                self._enter(record)

    def _enter(self, record: Record) -> None:
        match record:
            case o.OrderStated():
                now = {line.line_id: line for line in record.lines}
                self.removed = {line for line in self.lines if line not in now}
                self.lines |= now
                self.there = set(now)
            case o.OrderCancelled(line_ids=ids) | o.LinesReturned(line_ids=ids):
                self.withdrawn |= self.there if ids is None else self.there & set(ids)
            case o.PaymentCaptured():
                self.captures.append(record)
            case o.PaymentRefunded():
                self.refunds.append(record)

    @property
    def given_up(self) -> set[str]:
        return self.withdrawn | self.removed

    @property
    def captured(self) -> int:
        return sum(one.amount for one in self.captures)

    @property
    def refunded(self) -> int:
        return sum(one.amount for one in self.refunds)

    @property
    def all_is_back(self) -> bool:
        return self.captured == self.refunded > 0

    def allocated(self, payments: list[o.PaymentCaptured] | list[o.PaymentRefunded], line_id: str) -> int:
        return sum(part.amount for one in payments for part in one.allocations if part.line_id == line_id)

    def surely_owed(self, line_id: str) -> int:
        """Money allocated to a line, less all refunds that may have been for it; nothing if all money is back."""
        if self.all_is_back:
            return 0
        return max(0, self.allocated(self.captures, line_id) - self.may_be_back(line_id))

    def may_be_back(self, line_id: str) -> int:
        """Refunds allocated to a line, or to none."""
        unallocated = sum(one.amount - sum(part.amount for part in one.allocations) for one in self.refunds)
        return self.allocated(self.refunds, line_id) + unallocated

    def surely_owed_for_certificates(self) -> int:
        """Money that no goods can have taken, of an order that gave up all its certificates; none of it is back.

        Where some is back and names no line, which line has it is computed anew with every message: no naive book
        can say which certificate is to speak of the rest.
        """
        if self.refunds:
            return 0
        goods = sum(
            max(line.amount, self.allocated(self.captures, line.line_id))
            for line in self.lines.values()
            if not line.is_certificate
        )
        return max(0, self.captured - goods)

    def pays_for(self, line_id: str, price: int) -> bool:
        """Whether what is left may pay for a line: its price, or what the order last said when that was refused.

        Which line a refund means is reckoned by the order's own words, so that all certificates reckon alike.
        """
        return min(price, self.lines[line_id].amount) <= self.captured - self.may_be_back(line_id)

    @property
    def certificate_lines(self) -> list[str]:
        return [line.line_id for line in self.lines.values() if line.is_certificate]


# A sale that goes wrong in some way ---------------------------------------------------------------


@st.composite
def versions(draw: st.DrawFn) -> list[Record]:
    """An order that is said, then cancelled, returned, reduced, extended, repriced or given other certificates.

    The number of a line that was cancelled or returned is not given to another certificate: that is another line.
    """
    gifts = draw(st.lists(st.sampled_from(GIFTS), min_size=1, max_size=3, unique=True))
    goods = draw(st.lists(st.sampled_from(GOODS), unique=True))
    lines = {line.line_id: line for line in (*goods, *(named(line, "1") for line in gifts))}
    gone: set[str] = set()
    records: list[Record] = [stated(1, *lines.values())]
    for version in range(2, 2 + draw(st.integers(0, 3))):
        at = version * make.MINUTE
        kind = draw(st.sampled_from(("cancel", "return", "change", "change")))
        ids = draw(st.lists(st.sampled_from(sorted(lines)), min_size=1, unique=True)) if lines else []
        if kind == "cancel":
            none = draw(st.booleans())
            gone |= set(lines) if none or not ids else set(ids)
            records.append(make.cancelled(*(() if none else ids), version=version, at=make.NOON + at))
        elif kind == "return" and ids:
            gone |= set(ids)
            records.append(make.returned(*ids, version=version, at=make.NOON + at))
        else:
            change(draw, lines, gone, version)
            records.append(stated(version, *lines.values(), at=at))
    return records


def named(line: o.OrderLine, suffix: str) -> o.OrderLine:
    return replace(line, certificate_id=f"certificate-{line.line_id}-{suffix}")


def change(draw: st.DrawFn, lines: dict[str, o.OrderLine], gone: set[str], version: int) -> None:
    line_id = draw(st.sampled_from(sorted(lines))) if lines else ""
    match draw(st.sampled_from(("remove", "replace", "reprice", "add"))):
        case "remove" if line_id:
            lines.pop(line_id)
        case "replace" if line_id and lines[line_id].is_certificate and line_id not in gone:
            lines[line_id] = named(lines[line_id], str(version))
        case "reprice" if line_id:
            lines[line_id] = replace(lines[line_id], amount=draw(st.sampled_from((450_000, 500_000, 100))))
        case _:
            new = draw(st.sampled_from((*GOODS, *(named(line, str(version)) for line in GIFTS))))
            if new.line_id not in gone:
                lines.setdefault(new.line_id, new)


@st.composite
def payments(draw: st.DrawFn, orders: list[Record]) -> list[Record]:
    """Captures and refunds in any parts, with and without allocation; what is back was captured before."""
    first = orders[0]
    assert isinstance(first, o.OrderStated)
    total = sum(line.amount for line in first.lines)
    published: list[Record] = []
    captured = 0
    for _ in range(draw(st.integers(0, 5))):
        amount = draw(st.sampled_from((total, total, *AMOUNTS)))
        line = draw(st.sampled_from((None, None, *first.lines)))
        if captured and draw(st.booleans()):
            back = min(amount, captured)
            to = min(back, has(line, published, total)) if line else 0
            at = make.NOON + draw(st.integers(0, 8)) * make.MINUTE
            published.append(make.refunded(back, to={line.line_id: to} if line and to else None, at=at))
            captured -= back
        else:
            to = min(amount, line.amount) if line else 0
            published.append(
                make.captured(amount, f"P-{len(published)}", to={line.line_id: to} if line and to else None)
            )
            captured += amount
    return published


def has(line: o.OrderLine, published: list[Record], total: int) -> int:
    """What a line surely has of the money: its allocations, or its amount where all is paid; less what is back."""
    money = Book(published)
    given = money.allocated(money.captures, line.line_id)
    had = max(given, line.amount) if money.captured >= total else given
    return max(0, had - money.allocated(money.refunds, line.line_id))


@st.composite
def arrivals(draw: st.DrawFn) -> list[Record]:
    orders = draw(versions())
    paid = draw(payments(orders))
    return draw(
        st.tuples(with_repeats(orders), with_repeats(paid)).flatmap(lambda topics: interleaved(*topics))
    )
