"""Random lives of a certificate: messages of every class, sensible or not, in any order, and time passing."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import strategies as st

from giftcert.domain.certificate import messages as m
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, Message

ORDERS = (make.ORDER, "IM-2")
AMOUNTS = (100_000, 250_000, 500_000, 750_000, 1_000_000)
ALLOCATIONS = (None, None, {"2": 500_000}, {"2": 250_000}, {"1": 250_000}, {"3": 500_000})


@dataclass(frozen=True)
class Waited:
    """Time passes; nothing is told of it yet."""

    time: timedelta


@dataclass(frozen=True)
class Resolved:
    """A person decides the first open refund case, if there is one."""

    decision: str
    amount: int | None
    by: str


@dataclass(frozen=True)
class DeadlineTold:
    """The next deadline comes, whatever the hour."""


Move = Message | Waited | DeadlineTold | Resolved

a_line = st.sampled_from(
    (
        make.goods(),
        make.gift("2"),
        make.gift("3"),
        make.gift("2", 450_000),
        make.gift("2", 100),
        make.gift("2", 0),
    )
)
lines = st.lists(a_line, min_size=1, max_size=3, unique_by=lambda line: line.line_id)
line_ids = st.sampled_from(((), ("1",), ("2",), ("3",), ("2", "3")))


@st.composite
def stated(draw: st.DrawFn) -> o.OrderStated:
    return make.ordered(
        *draw(lines),
        own=draw(st.sampled_from(("2", "2", "2", "3", None))),
        version=draw(st.integers(1, 6)),
        order_id=draw(st.sampled_from(ORDERS)),
        reservation_id=draw(st.sampled_from((make.RESERVATION, make.RESERVATION, "R-2", None))),
        currency=draw(st.sampled_from(("RUB", "RUB", "RUB", "EUR"))),
        customer_id=draw(st.sampled_from(("C-77", "C-78", None))),
        certificate_id=draw(st.sampled_from((make.CERTIFICATE, make.CERTIFICATE, OTHER))),
    )


OTHER = "certificate-2"
"""Another certificate of the same world."""


@st.composite
def withdrawn(draw: st.DrawFn) -> o.OrderCancelled | o.LinesReturned:
    say = draw(st.sampled_from((make.cancelled, make.returned)))
    minutes = draw(st.integers(0, 5)) * make.MINUTE
    order_id, version = draw(st.sampled_from(ORDERS)), draw(st.integers(2, 6))
    return say(*draw(line_ids), version=version, order_id=order_id, at=make.NOON + minutes)


@st.composite
def paid(draw: st.DrawFn) -> o.Payment:
    order_id, payment_id = draw(st.sampled_from(ORDERS)), draw(st.sampled_from(("P-1", "P-2")))
    say = draw(st.sampled_from((make.authorized, make.voided, make.captured, make.captured)))
    if say is not make.captured:
        return say(payment_id=payment_id, order_id=order_id)
    return make.captured(
        draw(st.sampled_from(AMOUNTS)),
        payment_id,
        to=draw(st.sampled_from(ALLOCATIONS)),
        order_id=order_id,
        tender=draw(st.sampled_from(("card", "card", "giftCertificate"))),
        currency=draw(st.sampled_from(("RUB", "RUB", "RUB", "RUB", "EUR"))),
    )


@st.composite
def refunded(draw: st.DrawFn) -> o.PaymentRefunded:
    return make.refunded(
        draw(st.sampled_from(AMOUNTS)),
        draw(st.sampled_from(("r-1", "r-2", "r-3"))),
        to=draw(st.sampled_from(ALLOCATIONS)),
        order_id=draw(st.sampled_from(ORDERS)),
        currency=draw(st.sampled_from(("RUB", "RUB", "RUB", "RUB", "EUR"))),
        at=make.NOON + draw(st.integers(0, 5)) * make.MINUTE,
        payment_id=draw(st.sampled_from(("P-1", "P-2"))),
    )


reservations = st.sampled_from((make.RESERVATION, "R-2"))
redemption_ids = st.sampled_from(("D-1", "D-2", "D-3"))
held = st.builds(
    make.hold,
    st.sampled_from((100_000, 200_000, 500_000)),
    redemption_ids,
    order_id=st.sampled_from(("POS-5", "POS-6")),
)
reported = st.builds(
    make.spending,
    st.sampled_from(("authorized", "captured", "captured", "voided", "refunded")),
    st.sampled_from((50_000, 100_000, 200_000, 500_000)),
    st.one_of(redemption_ids, st.none()),
    order_id=st.sampled_from(("POS-5", "POS-6")),
    payment_id=st.sampled_from(("P-5", "P-6")),
    currency=st.sampled_from(("RUB", "RUB", "RUB", "EUR")),
    channel=st.sampled_from(("pos", "im")),
)
resolved = st.builds(
    Resolved,
    st.sampled_from(("approve", "reject")),
    st.sampled_from((None, None, 0, 100_000, 500_000)),
    st.sampled_from(("support-1", "support-2")),
)
waited = st.builds(Waited, st.sampled_from((make.HOUR, make.DAY, 8 * make.DAY, 400 * make.DAY)))
anything = st.sampled_from(make.a_message_of_each_class())
move: st.SearchStrategy[Move] = st.one_of(
    st.builds(make.reserve, reservations),
    st.builds(make.given_back, reservations),
    stated(),
    stated(),
    withdrawn(),
    paid(),
    paid(),
    refunded(),
    refunded(),
    anything,
    held,
    held,
    reported,
    reported,
    resolved,
    resolved,
    waited,
    st.just(DeadlineTold()),
)
# Most lives begin with a sale, or nothing much would happen in them.
beginnings: st.SearchStrategy[tuple[Move, ...]] = st.sampled_from(
    (
        (),
        (make.reserve(),),
        (make.reserve(), make.ordered(make.goods(), make.gift())),
        (make.reserve(), make.ordered(), make.captured()),
        (make.reserve(), make.ordered(make.goods(), make.gift()), make.captured(750_000)),
        (make.reserve(), make.ordered(make.gift("2"), make.gift("3")), make.captured(1_000_000)),
        (make.reserve(), make.ordered(), Waited(8 * make.DAY)),
    )
)
lives = st.builds(lambda first, rest: (*first, *rest), beginnings, st.lists(move, max_size=14))


def begin() -> Certificate:
    """A certificate in whose world there is another one, which may take its place on a line."""
    found = Certificate(terms=make.terms(make.FREE))
    Certificate(world=found.world, name=OTHER).tell(make.reserve("R-2"))
    return found


def led(life: tuple[Move, ...]) -> Certificate:
    """Lead a certificate through a life."""
    found = begin()
    for step in life:
        message = message_of(found, step)
        if message is not None:
            found.tell(message)
    return found


def message_of(found: Certificate, step: Move) -> Message | None:
    """Return what a step tells the certificate; the clock goes on."""
    match step:
        case Resolved():
            return _resolution(found, step)
        case Waited():
            found.clock += step.time
            return None
        case DeadlineTold():
            due = found.next_deadline
            found.clock = max(found.clock, due.at) if due else found.clock
            return due.message if due else None
        case _:
            return step


def _resolution(found: Certificate, step: Resolved) -> m.ResolveRefund | None:
    waiting = [case.refund_case_id for sale in found.state.sales for case in sale.cases if case.is_open]
    if not waiting:
        return None
    return make.resolve(waiting[0], step.decision, step.amount, by=step.by)
