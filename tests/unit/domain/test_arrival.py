"""The arrival rule: each topic in its own order with any repeats, any interleaving of orders and payments.

Where nothing is withdrawn, refunded or repriced, the end state and the events are the same. All at one instant, so
that times granted do not differ. A changed recipient is out of this: what was announced cannot be announced anew.
"""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from giftcert.domain import events as e
from giftcert.domain.state import CertificateState
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate
from tests.unit.domain.orders_of_arrival import Ingest, Record, interleaved, with_repeats
from tests.unit.domain.plain_sales import a_growing_sale, a_sale, stated
from tests.unit.domain.profiles import searched


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
