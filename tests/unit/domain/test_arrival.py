"""The arrival rule: each topic in its own order with any repeats, any interleaving of orders and payments.

Where nothing is withdrawn, refunded or repriced, the end state and the events are the same. All at one instant, so
that times granted do not differ. A changed recipient is out of this: what was announced cannot be announced anew.
"""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.state import CertificateState
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate
from tests.unit.domain.orders_of_arrival import Ingest, Record, Stated, interleaved, with_repeats
from tests.unit.domain.profiles import searched

LINES = (make.goods("1"), make.goods("4", 90_000), make.gift("2"), make.gift("3", 450_000), make.gift("5", 0))
AMOUNTS = (90_000, 250_000, 300_000, 500_000, 840_000)


@dataclass(frozen=True)
class Outcome:
    """What must not depend on the order of arrival."""

    state: CertificateState
    events: tuple[e.PublicEvent, ...]

    @classmethod
    def of(cls, found: Certificate) -> "Outcome":
        return cls(found.state, tuple(found.public()))


def outcomes(records: list[Record]) -> dict[str, Outcome]:
    ingest = Ingest()
    for record in records:
        ingest.deliver(record)
    return {name: Outcome.of(found) for name, found in ingest.certificates.items()}


def certificates_on(lines: tuple[m.Line, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((line.line_id, f"certificate-{line.line_id}") for line in lines if line.is_certificate)


some_lines = (
    st.lists(st.sampled_from(LINES), min_size=1, max_size=4, unique_by=lambda line: line.line_id)
    .map(tuple)
    .filter(certificates_on)
)


def stated(version: int, lines: tuple[m.Line, ...]) -> Stated:
    return Stated(version, lines, certificates_on(lines))


@st.composite
def any_payment(draw: st.DrawFn, lines: tuple[m.Line, ...]) -> m.PaymentMessage:
    payment_id = draw(st.sampled_from(("P-1", "P-2", "P-3")))
    kind = draw(st.sampled_from(("authorized", "captured", "captured", "captured", "voided")))
    if kind == "authorized":
        return make.authorized(payment_id=payment_id)
    if kind == "voided":
        return make.voided(payment_id)
    amount = draw(st.sampled_from((*AMOUNTS, sum(line.amount for line in lines) or 1)))
    line = draw(st.sampled_from((None, None, *lines)))
    to = {line.line_id: min(amount, line.amount)} if line else None
    return make.captured(amount, payment_id, to=to, tender=draw(st.sampled_from(("card", "giftCertificate"))))


@st.composite
def a_sale(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """An order said once or several times, its certificates and goods, payments in any parts."""
    lines = draw(some_lines)
    orders: list[Record] = [stated(version, lines) for version in range(1, draw(st.integers(2, 4)))]
    return orders, draw(st.lists(any_payment(lines), max_size=5))


@st.composite
def a_growing_sale(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """Lines are added by later versions; every payment says which lines it is for."""
    lines = draw(some_lines)
    orders: list[Record] = [
        stated(version, lines[:count])
        for version, count in enumerate(range(1, len(lines) + 1), start=1)
        if certificates_on(lines[:count])
    ]
    paying = draw(st.lists(st.sampled_from(lines), unique=True))
    parts = [(line, part) for line in paying for part in (line.amount // 3, line.amount - line.amount // 3)]
    payments: list[Record] = [
        make.captured(part, f"P-{place}", to={line.line_id: part})
        for place, (line, part) in enumerate(draw(st.permutations(parts)))
    ]
    return orders, payments


@searched(200)
@given(st.data(), st.one_of(a_sale(), a_growing_sale()))
def test_any_interleaving_and_any_repeats_end_the_same(
    data: st.DataObject, sale: tuple[list[Record], list[Record]]
) -> None:
    orders, payments = sale
    told = data.draw(
        st.tuples(with_repeats(orders), with_repeats(payments)).flatmap(lambda both: interleaved(*both))
    )
    assert outcomes(told) == outcomes([*orders, *payments])


def test_a_payment_that_comes_first_ends_as_one_that_comes_last() -> None:
    order, payment = stated(1, (make.goods(), make.gift())), make.captured(750_000)
    assert outcomes([order, payment]) == outcomes([payment, order])


def test_a_day_that_is_sent_again_doubles_nothing() -> None:
    day: list[Record] = [stated(1, (make.gift("2"), make.gift("3"))), make.captured(1_000_000)]
    assert outcomes(day + day) == outcomes(day)
