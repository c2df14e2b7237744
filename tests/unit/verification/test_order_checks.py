"""Whatever the domain decides over orders keeps the invariants that are held against it."""

from collections.abc import Iterator

import msgspec
from hypothesis import given

from giftcert.domain.certificate.state import Line
from giftcert.domain.order.order import Order
from giftcert.storage.certificates import StoredCertificate
from giftcert.storage.order_lines import LineReport, OrderLineRow
from giftcert.storage.verification.checks import Violation
from giftcert.storage.verification.session import StoredOrders
from giftcert.verification.order_checks import violations
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import issued
from tests.unit.domain.certificate.lives import Move, led, lives
from tests.unit.domain.certificate.world import World
from tests.unit.domain.profiles import searched


def row_of(line: Line, order: Order, world: World) -> OrderLineRow:
    """The line as the database has it."""
    named = order.lines[line.standing.line_key - 1].certificates
    return OrderLineRow(
        standing=line.standing,
        recipient=line.recipient,
        unpaid_until=line.unpaid_until,
        named=tuple(one for one in named if one in world.states),
        speaker=line.standing.naming.certificate_id if line.names_ours else None,
        holder=line.holder.certificate_id if line.holder else None,
        holder_status=world.states[line.holder.certificate_id].status if line.holder else None,
        waiters=line.waiters,
        counted=line.counted,
        open_case=msgspec.json.encode(line.open_case).decode() if line.open_case else None,
        report=LineReport(foreign=line.reported),
    )


def stored_of(world: World) -> StoredOrders:
    """All that a world has, as of its last decisions."""
    decided = {one.before.certificate_id: one.decision.now for one in world.decided}
    certificates = {
        name: StoredCertificate(
            state=state,
            product=world.terms.product,
            sequence=0,
            version=0,
            decided_at=decided.get(name),
            next_instant=None,
            timer_at=None,
            parked=(),
            run_key=None,
            number_sealed=b"",
            cvc_sealed=b"",
        )
        for name, state in world.states.items()
    }
    return StoredOrders(
        orders=[one for one in world.orders.values() if one.certificate_lines],
        lines={ref: row_of(line, world.orders[ref.order_id], world) for ref, line in world.lines.items()},
        received={},
        certificates=certificates,
        waiting={name for name, _ in world.pending},
    )


def found(world: World, stored: StoredOrders | None = None) -> Iterator[Violation]:
    return violations(stored or stored_of(world), world.terms.policy, world.clock)


@searched(300)
@given(lives)
def test_no_life_that_the_domain_leads_is_taken_for_a_violation(life: tuple[Move, ...]) -> None:
    assert [f"{one.rule}: {one}" for one in found(led(life).world)] == []


def test_the_same_of_a_line_that_nobody_looked_at_is_one() -> None:
    certificate = issued()
    certificate.world.say(make.refunded())
    assert not list(found(certificate.world)), "it is pending"
    certificate.world.pending.clear()
    assert [one.rule for one in found(certificate.world)] == ["undecided"]
