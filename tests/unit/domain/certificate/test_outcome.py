"""The buyer's outcome, whatever is cancelled, returned, refunded, replaced or repriced, and whenever it comes.

No active certificate for a cancelled or fully refunded line, and no captured money of such a line unaccounted for:
refunded, or an open case, or an alert. No deadline passes. What is expected is reckoned from the records alone.
"""

from hypothesis import given, note
from hypothesis import strategies as st

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Sale
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, spendable
from tests.unit.domain.certificate.orders_of_arrival import Ingest, Record, in_words, interleaved
from tests.unit.domain.profiles import searched
from tests.unit.domain.certificate.sales_gone_wrong import AMOUNTS, Book, arrivals, versions


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
@given(refunds_first())
def test_a_refund_known_before_its_capture_never_sends_a_notification(records: list[Record]) -> None:
    for found in carried(records).certificates.values():
        assert found.all(e.NotificationRequested) == []
