"""The buyer's outcome, whatever is cancelled, returned, refunded, replaced or repriced, and whenever it comes.

No active certificate for a cancelled or fully refunded line, and no captured money of such a line unaccounted for:
refunded, or an open case, or an alert. No deadline passes. What is expected is reckoned from the records alone.
"""

from hypothesis import given, note
from hypothesis import strategies as st

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.state import Sale
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, spendable
from tests.unit.domain.orders_of_arrival import Ingest, Record, Stated, in_words, interleaved, with_repeats
from tests.unit.domain.profiles import searched

GOODS = (make.goods("1", 250_000), make.goods("4", 500_000))
GIFTS = (make.gift("2"), make.gift("3"), make.gift("5", 450_000))
AMOUNTS = (100_000, 250_000, 450_000, 500_000, 750_000, 1_000_000)


class Book:
    """A naive reckoning: which lines the order gave up, and what is surely captured and refunded."""

    def __init__(self, records: list[Record]) -> None:
        seen: set[str] = set()
        self.lines: dict[str, m.Line] = {}
        self.withdrawn: set[str] = set()
        self.there: set[str] = set()
        self.captures: list[m.PaymentCaptured] = []
        self.refunds: list[m.PaymentRefunded] = []
        for record in records:
            key = f"v{record.version}" if isinstance(record, Stated) else record.key
            if key not in seen:
                seen.add(key)
                self._enter(record)

    def _enter(self, record: Record) -> None:
        match record:
            case Stated():
                now = {line.line_id: line for line in record.lines}
                self.removed = {line for line in self.lines if line not in now}
                self.lines |= now
                self.there = set(now)
            case m.OrderCancelled(line_ids=ids) | m.LinesReturned(line_ids=ids):
                self.withdrawn |= self.there if ids is None else self.there & set(ids)
            case m.PaymentCaptured():
                self.captures.append(record)
            case m.PaymentRefunded():
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

    def allocated(self, payments: list[m.PaymentCaptured] | list[m.PaymentRefunded], line_id: str) -> int:
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

    @property
    def certificate_lines(self) -> list[str]:
        return [line.line_id for line in self.lines.values() if line.is_certificate]


# A sale that goes wrong in some way ---------------------------------------------------------------


@st.composite
def versions(draw: st.DrawFn) -> list[Record]:
    """An order that is said, then cancelled, returned, reduced, extended, repriced or given other certificates."""
    gifts = draw(st.lists(st.sampled_from(GIFTS), min_size=1, max_size=3, unique=True))
    lines = {line.line_id: line for line in (*draw(st.lists(st.sampled_from(GOODS), unique=True)), *gifts)}
    on = {line.line_id: f"certificate-{line.line_id}" for line in gifts}
    records: list[Record] = [Stated(1, tuple(lines.values()), tuple(on.items()))]
    for version in range(2, 2 + draw(st.integers(0, 3))):
        at = version * make.MINUTE
        kind = draw(st.sampled_from(("cancel", "return", "change", "change")))
        ids = draw(st.lists(st.sampled_from(sorted(lines)), min_size=1, unique=True)) if lines else []
        if kind == "cancel":
            none = draw(st.booleans())
            records.append(make.cancelled(*(() if none else ids), version=version, at=make.NOON + at))
        elif kind == "return" and ids:
            records.append(make.returned(*ids, version=version, at=make.NOON + at))
        else:
            change(draw, lines, on, version)
            records.append(Stated(version, tuple(lines.values()), tuple(on.items()), at))
    return records


def change(draw: st.DrawFn, lines: dict[str, m.Line], on: dict[str, str], version: int) -> None:
    line_id = draw(st.sampled_from(sorted(lines))) if lines else ""
    match draw(st.sampled_from(("remove", "replace", "reprice", "add"))):
        case "remove" if line_id:
            lines.pop(line_id)
            on.pop(line_id, None)
        case "replace" if line_id in on:
            on[line_id] = f"{on[line_id]}-{version}"
        case "reprice" if line_id:
            was = lines[line_id]
            lines[line_id] = m.Line(line_id, was.kind, draw(st.sampled_from((450_000, 500_000, 100))))
        case _:
            new = draw(st.sampled_from((*GOODS, *GIFTS)))
            lines.setdefault(new.line_id, new)
            if new.is_certificate and lines[new.line_id].is_certificate:
                on.setdefault(new.line_id, f"certificate-{new.line_id}-{version}")


@st.composite
def payments(draw: st.DrawFn, orders: list[Record]) -> list[Record]:
    """Captures and refunds in any parts, with and without allocation; what is back was captured before."""
    first = orders[0]
    assert isinstance(first, Stated)
    total = sum(line.amount for line in first.lines)
    told: list[Record] = []
    captured = 0
    for _ in range(draw(st.integers(0, 5))):
        amount = draw(st.sampled_from((total, total, *AMOUNTS)))
        line = draw(st.sampled_from((None, None, *first.lines)))
        if captured and draw(st.booleans()):
            back = min(amount, captured)
            to = min(back, has(line, told, total)) if line else 0
            at = make.NOON + draw(st.integers(0, 8)) * make.MINUTE
            told.append(make.refunded(back, to={line.line_id: to} if line and to else None, at=at))
            captured -= back
        else:
            to = min(amount, line.amount) if line else 0
            told.append(
                make.captured(amount, f"P-{len(told)}", to={line.line_id: to} if line and to else None)
            )
            captured += amount
    return told


def has(line: m.Line, told: list[Record], total: int) -> int:
    """What a line surely has of the money: its allocations, or its amount where all is paid; less what is back."""
    money = Book(told)
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


def carried(records: list[Record]) -> Ingest:
    note("\n".join(in_words(record) for record in records))
    ingest = Ingest()
    for record in records:
        ingest.deliver(record)
    return ingest


def sales_on(ingest: Ingest, line_id: str) -> list[tuple[Certificate, Sale]]:
    return [
        (found, sale)
        for found in ingest.certificates.values()
        for sale in (*found.state.past_sales, *([found.state.sale] if found.state.sale else []))
        if sale.line_id == line_id
    ]


def active_on(ingest: Ingest, line_id: str) -> list[Certificate]:
    return [
        found for found, sale in sales_on(ingest, line_id) if sale is found.state.sale and spendable(found)
    ]


def spoken_of(ingest: Ingest, *line_ids: str) -> bool:
    """Whether an open case or an alert tells of money of these lines."""
    cases = any(
        case.is_open for line_id in line_ids for _, sale in sales_on(ingest, line_id) for case in sale.cases
    )
    alerts = any(
        alert.line_id in line_ids
        for found in ingest.certificates.values()
        for alert in found.all(e.PaymentWithoutCertificateAlerted)
    )
    return cases or alerts


@searched(300)
@given(arrivals())
def test_a_line_given_up_or_fully_refunded_has_no_active_certificate(records: list[Record]) -> None:
    ingest, book = carried(records), Book(records)
    for line_id in book.lines:
        if line_id in book.given_up or book.all_is_back:
            assert active_on(ingest, line_id) == []


@searched(300)
@given(arrivals())
def test_captured_money_of_a_line_given_up_is_refunded_or_spoken_of(records: list[Record]) -> None:
    ingest, book = carried(records), Book(records)
    for line_id in book.certificate_lines:
        if line_id in book.given_up and book.surely_owed(line_id):
            assert spoken_of(ingest, line_id)
    if set(book.certificate_lines) <= book.given_up and book.surely_owed_for_certificates():
        assert spoken_of(ingest, *book.certificate_lines)


@searched(300)
@given(arrivals())
def test_an_order_line_has_at_most_one_live_certificate(records: list[Record]) -> None:
    ingest = Ingest()
    for record in records:
        ingest.deliver(record)
        for line_id in ("1", "2", "3", "4", "5"):
            assert len(ingest.live_on(line_id)) <= 1


@searched(300)
@given(arrivals())
def test_active_certificates_are_paid_by_what_the_order_still_has(records: list[Record]) -> None:
    ingest, book = carried(records), Book(records)
    for line_id in book.lines:
        for found in active_on(ingest, line_id):
            assert found.sale.amount <= book.captured - book.may_be_back(line_id)


@st.composite
def refunds_first(draw: st.DrawFn) -> list[Record]:
    """All that will be captured is known to be back before the first capture comes."""
    orders = draw(versions())
    parts = draw(st.lists(st.sampled_from(AMOUNTS), min_size=1, max_size=3))
    back: list[Record] = [make.refunded(amount) for amount in parts]
    captures: list[Record] = [make.captured(amount, f"P-{amount}") for amount in draw(st.permutations(parts))]
    return draw(interleaved(orders, [*back, *captures]))


@searched(200)
@given(refunds_first())
def test_a_refund_known_before_its_capture_never_sends_a_notification(records: list[Record]) -> None:
    for found in carried(records).certificates.values():
        assert found.all(e.NotificationRequested) == []
