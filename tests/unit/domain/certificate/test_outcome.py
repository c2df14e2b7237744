"""The buyer's outcome, whatever is cancelled, returned, refunded, replaced or repriced, and whenever it comes.

No active certificate for a cancelled or fully refunded line, and no captured money of such a line unaccounted for:
refunded, or an open case, or an alert. No deadline passes. What is expected is reckoned from the records alone.
"""

from hypothesis import given, note
from hypothesis import strategies as st

from giftcert.domain.certificate import events as e
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, spendable
from tests.unit.domain.certificate.orders_of_arrival import Carried, Record, in_words, interleaved
from tests.unit.domain.certificate.sales_gone_wrong import AMOUNTS, Book, arrivals, versions
from tests.unit.domain.profiles import searched

looks = st.lists(st.booleans(), max_size=9)
"""After which records certificates look; they all do in the end."""


def carried(records: list[Record], looking: list[bool]) -> Carried:
    note("\n".join(in_words(record) for record in records))
    return Carried(records, looking, make.terms())


def active_on(published: Carried, line_id: str) -> list[Certificate]:
    return [found for found in published.live_on(line_id) if spendable(found)]


@searched(300)
@given(arrivals(), looks)
def test_a_line_given_up_or_fully_refunded_has_no_active_certificate(
    records: list[Record], looking: list[bool]
) -> None:
    published, book = carried(records, looking), Book(records)
    for line_id in book.lines:
        if line_id in book.given_up or book.all_is_back:
            assert active_on(published, line_id) == []


@searched(300)
@given(arrivals(), looks)
def test_captured_money_of_a_line_given_up_is_refunded_or_spoken_of(
    records: list[Record], looking: list[bool]
) -> None:
    published, book = carried(records, looking), Book(records)
    for line_id in book.certificate_lines:
        if line_id in book.given_up and book.surely_owed(line_id):
            assert published.spoken_of(published.refs_of(line_id))
    if set(book.certificate_lines) <= book.given_up and book.surely_owed_for_certificates():
        assert published.spoken_of(
            {ref for line_id in book.certificate_lines for ref in published.refs_of(line_id)}
        )


@searched(60)
@given(arrivals(), looks)
def test_an_order_line_has_at_most_one_live_certificate(records: list[Record], looking: list[bool]) -> None:
    for count in range(1, len(records) + 1):
        published = carried(records[:count], looking)
        assert all(len(published.world.holders(ref)) <= 1 for ref in published.world.lines)


@searched(300)
@given(arrivals(), looks)
def test_active_certificates_are_paid_by_what_the_order_still_has(
    records: list[Record], looking: list[bool]
) -> None:
    published, book = carried(records, looking), Book(records)
    for line_id in book.lines:
        for found in active_on(published, line_id):
            assert book.pays_for(line_id, found.sale.amount)


@st.composite
def refunds_first(draw: st.DrawFn) -> list[Record]:
    """All that will be captured is known to be back before the first capture comes."""
    orders = draw(versions())
    parts = draw(st.lists(st.sampled_from(AMOUNTS), min_size=1, max_size=3))
    back: list[Record] = [make.refunded(amount) for amount in parts]
    captures: list[Record] = [make.captured(amount, f"P-{amount}") for amount in draw(st.permutations(parts))]
    return draw(interleaved(orders, [*back, *captures]))


@searched(200)
@given(refunds_first(), looks)
def test_a_refund_known_before_its_capture_never_sends_a_notification(
    records: list[Record], looking: list[bool]
) -> None:
    for found in carried(records, looking).certificates.values():
        assert found.all(e.NotificationRequested) == []
