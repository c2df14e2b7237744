"""The arrival rule: each topic in its own order with any repeats, any interleaving, looked at as seldom as may be.

Where nothing is withdrawn, refunded or repriced, the end state and the events are the same. All at one instant, so
that times granted do not differ. A changed recipient is out of this: what was announced cannot be announced anew.
"""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import CertificateState
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.orders_of_arrival import (
    Carried,
    Record,
    interleaved,
    stated,
    with_repeats,
)
from tests.unit.domain.certificate.plain_sales import a_growing_sale, a_sale, named
from tests.unit.domain.profiles import searched

COMPARED = e.Ordered | e.Issued | e.NotificationRequested


@dataclass(frozen=True)
class Outcome:
    """What must not depend on the order of arrival."""

    state: CertificateState
    events: tuple[e.PublicEvent, ...]

    @classmethod
    def of(cls, found: Certificate) -> "Outcome":
        events = tuple(event for event in found.events if isinstance(event, COMPARED))
        return cls(replace(found.state, lines=()), events)


def outcomes(records: list[Record], looks: list[bool] | None = None) -> dict[str, Outcome]:
    carried = Carried(records, looks or [])
    return {name: Outcome.of(found) for name, found in carried.certificates.items()}


@searched(200)
@given(st.data(), st.one_of(a_sale(), a_growing_sale()), st.lists(st.booleans(), max_size=9))
def test_any_interleaving_any_repeats_and_any_looks_end_the_same(
    data: st.DataObject, sale: tuple[list[Record], list[Record]], looks: list[bool]
) -> None:
    orders, payments = sale
    published = data.draw(
        st.tuples(with_repeats(orders), with_repeats(payments)).flatmap(lambda both: interleaved(*both))
    )
    assert outcomes(published, looks) == outcomes([*orders, *payments])


def test_a_payment_that_comes_first_ends_as_one_that_comes_last() -> None:
    order, payment = stated(1, make.goods(), named("2")), make.captured(750_000)
    assert outcomes([order, payment]) == outcomes([payment, order])


def test_a_day_that_is_sent_again_doubles_nothing() -> None:
    day: list[Record] = [stated(1, named("2"), named("3")), make.captured(1_000_000)]
    assert outcomes(day + day) == outcomes(day)


def test_whoever_looks_once_sees_what_whoever_looks_always_sees() -> None:
    day: list[Record] = [
        stated(1, named("2")),
        make.authorized(),
        make.captured(200_000),
        make.captured(300_000),
    ]
    assert outcomes(day, [False]) == outcomes(day, [True])
