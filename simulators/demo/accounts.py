"""Whether BI, from the stream alone, comes to the figures of those who took the money."""

from collections.abc import Iterable

from simulators.demo.books import Books
from simulators.demo.expectations import Expectation
from simulators.demo.findings import Finding
from simulators.demo.journal import Journal
from simulators.demo.outcomes import CertificateTells
from simulators.figures import Figures
from simulators.messages import Order
from simulators.money import money_text


def judge_revenue(
    journal: Journal, orders: Iterable[Order], expectations: Iterable[Expectation], before: Figures
) -> Finding:
    """Return whether BI's revenue is the prices of what was to be issued less what was refunded after issue."""
    kept = {
        one.reservation.reservation_id
        for one in expectations
        if isinstance(one, CertificateTells) and one.outcome.keeps_its_price
    }
    paid: dict[str | None, int] = {}
    for line in (line for order in orders for line in order.certificate_lines):
        paid.setdefault(line.reservation_id, line.amount)  # the first order; a stranger's never counts
    expected = sum(amount for reservation, amount in paid.items() if reservation in kept)
    return _compared("Revenue of this run", expected, journal.fold.figures.revenue - before.revenue)


def judge_spending(journal: Journal, books: Books, before: Figures) -> list[Finding]:
    """Return whether what BI counted of spending is what shops and support wrote down, and no hold stayed open."""
    now = journal.fold.figures
    held = sum(journal.fold.certificates[certificate_id].held for certificate_id in journal.events)
    return [
        _compared("Redeemed in this run", books.redeemed, now.redeemed - before.redeemed),
        _compared("Refunded of what was spent", books.uncovered, now.uncovered - before.uncovered),
        _compared(
            "Sold for which no certificate paid",
            books.goods_uncovered,
            now.goods_uncovered - before.goods_uncovered,
        ),
        _compared("Forgotten until it expired", books.breakage, now.breakage - before.breakage),
        _compared("Still held when the day is over", 0, held),
    ]


def _compared(subject: str, expected: int, seen: int) -> Finding:
    """Amounts in minor units."""
    return Finding(subject, money_text(expected), money_text(seen), expected == seen)
