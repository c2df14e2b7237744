"""Sales in which nothing is withdrawn, refunded or repriced: an order, its versions, payments in any parts."""

from hypothesis import strategies as st

from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.orders_of_arrival import Record, stated


def named(line_id: str, amount: int = make.PRICE) -> o.OrderLine:
    return make.gift(line_id, amount, f"certificate-{line_id}")


LINES = (make.goods("1"), make.goods("4", 90_000), named("2"), named("3", 450_000), named("5", 0))
AMOUNTS = (90_000, 250_000, 300_000, 500_000, 840_000)

some_lines = (
    st.lists(st.sampled_from(LINES), min_size=1, max_size=4, unique_by=lambda line: line.line_id)
    .map(tuple)
    .filter(lambda lines: any(line.is_certificate for line in lines))
)


@st.composite
def any_payment(draw: st.DrawFn, lines: tuple[o.OrderLine, ...]) -> o.Payment:
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
    orders: list[Record] = [stated(version, *lines) for version in range(1, draw(st.integers(2, 4)))]
    return orders, draw(st.lists(any_payment(lines), max_size=5))


@st.composite
def a_growing_sale(draw: st.DrawFn) -> tuple[list[Record], list[Record]]:
    """Lines are added by later versions; every payment says which lines it is for."""
    lines = draw(some_lines)
    orders: list[Record] = [
        stated(version, *lines[:count])
        for version, count in enumerate(range(1, len(lines) + 1), start=1)
        if any(line.is_certificate for line in lines[:count])
    ]
    paying = draw(st.lists(st.sampled_from(lines), unique=True))
    parts = [(line, part) for line in paying for part in (line.amount // 3, line.amount - line.amount // 3)]
    payments: list[Record] = [
        make.captured(part, f"P-{place}", to={line.line_id: part})
        for place, (line, part) in enumerate(draw(st.permutations(parts)))
    ]
    return orders, payments
