"""Claims, lapse and retirement decide for many certificates in SQL: each ends as ``decide`` says of it alone."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from giftcert.contracts.stream import EventRecord, stamp
from giftcert.domain.certificate.deadlines import is_over
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import Block, Message, ReservationLapsed, Reserve, Retire
from giftcert.domain.policy import Terms
from giftcert.domain.products import Product
from giftcert.storage.certificates import StoredCertificate
from giftcert.storage.claims import ClaimRequest
from giftcert.storage.operations import Operation, OperationRepository
from giftcert.storage.reservations import ReservationRepository
from tests.integration.lifecycle.world import GIFT, World, cancelled, captured, sold, stated
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration
OPEN = Product("GC-OPEN", "RUB", least_nominal=1_000, greatest_nominal=900_000)
RETIRE = Retire(reason="the printer lost a box", by="ops-1")


# Certificates before a set statement ----------------------------------------------------------------


async def never_reserved(world: World) -> str:
    return (await world.fill(1))[0]


async def released(world: World) -> str:
    """Reserved once, and lapsed."""
    certificate_id = await world.reserved()
    world.pass_time(timedelta(hours=2))
    await world.catch_up()
    await world.advance(certificate_id)
    return certificate_id


async def sold_and_released(world: World) -> str:
    """Ordered once, and released as the order was cancelled."""
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    await world.say(cancelled("IM-1", 2))
    await world.advance(certificate_id)
    return certificate_id


async def with_an_open_case(world: World) -> str:
    """In the pool, with the refund case of a line that was withdrawn before it was taken."""
    [certificate_id] = await world.fill(1)
    await world.say(stated("IM-1", 1, sold(certificate_id)), captured("IM-1"), cancelled("IM-1", 2))
    await world.advance(certificate_id)
    return certificate_id


async def of_open_value(world: World) -> str:
    [certificate_id] = await world.fill(1, OPEN)
    return certificate_id


async def blocked(world: World) -> str:
    [certificate_id] = await world.fill(1)
    await world.act(certificate_id, Block(reason="a doubt", by="support-1"))
    return certificate_id


def then_reserved(make: Callable[[World], Awaitable[str]]) -> Callable[[World], Awaitable[str]]:
    async def reserved(world: World) -> str:
        certificate_id = await make(world)
        await claim(world, certificate_id)
        return certificate_id

    reserved.__name__ = f"{make.__name__}_then_reserved"
    return reserved


async def reserved_and_blocked(world: World) -> str:
    certificate_id = await world.reserved()
    await world.act(certificate_id, Block(reason="a doubt", by="support-1"))
    return certificate_id


FREE = (never_reserved, released, sold_and_released, with_an_open_case)
NOTHING_OPEN = (never_reserved, released, sold_and_released)


# The set statements ---------------------------------------------------------------------------------


async def claim(world: World, certificate_id: str, nominal: int | None = None) -> None:
    product = (await world.stored(certificate_id)).product
    async with Tables(world.database, world.url).claims() as claims:
        request = ClaimRequest(product, 1, "pos", "till-1", nominal or product.nominal, world.now)
        [claimed] = await claims.claim([request])
    assert [one["certificateId"] for one in claimed.claims] == [certificate_id]


async def lapse(world: World) -> int:
    world.pass_time(timedelta(hours=2))
    await world.catch_up()
    async with world.database.transaction() as connection:
        return await ReservationRepository(connection).release_lapsed(10, world.now)


async def retire(world: World, certificate_id: str) -> tuple[UUID, ...]:
    """Return those that the statement left to be decided one by one."""
    [row] = await world.rows(
        "SELECT batch_id FROM certificates WHERE certificate_id = CAST(:id AS uuid)", id=certificate_id
    )
    async with world.database.transaction() as connection:
        operations = OperationRepository(connection)
        operation = await operations.start(
            Operation(
                operation_id=uuid7(),
                batch_id=row["batch_id"],
                certificate_id=None,
                reason=RETIRE.reason,
                requested_by=RETIRE.by,
                requested_at=world.now,
            ),
            "GiftCertificates.Stream-0",
        )
        return (await operations.retire_unsold(operation, world.now)).left


# What the domain says -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A certificate before and after a set statement."""

    before: StoredCertificate
    after: StoredCertificate


async def changed(world: World, certificate_id: str, statement: Awaitable[Any]) -> Change:
    before = await world.stored(certificate_id)
    await statement
    return Change(before, await world.stored(certificate_id))


async def hold_to_domain(world: World, change: Change, message: Message, channel: str | None = None) -> None:
    """Compare state, version columns and events with what ``decide`` says."""
    before, after = change.before, change.after
    decision = decide(
        before.state, message, world.now, Terms(before.product, world.policy), lambda: str(uuid7())
    )
    assert decision.refusal is None
    assert after.state == replace(decision.state, lines=())
    assert after.decided_at == world.now
    assert after.next_instant is None or not is_over(after.state, world.policy)
    records = stamp(before.state, decision.recorded, at=world.now, channel=channel)
    stored = await world.rows(
        """SELECT *, product_id AS product FROM outbox JOIN events USING (event_id)
            WHERE certificate_id = CAST(:id AS uuid) AND sequence > :before ORDER BY position""",
        id=after.state.certificate_id,
        before=before.sequence,
    )
    assert [row["sequence"] for row in stored] == list(range(before.sequence + 1, after.sequence + 1))
    assert [_record(row) for row in stored] == list(records)


def _record(row: dict[str, Any]) -> EventRecord:
    assert row["cause_topic"] is None
    names = set(EventRecord.__dataclass_fields__) - {"cause"}
    return EventRecord(**{name: row[name] for name in names})


@pytest.mark.parametrize("make", FREE)
async def test_a_claim_is_as_the_domain_says(world: World, make: Callable[[World], Awaitable[str]]) -> None:
    certificate_id = await make(world)
    change = await changed(world, certificate_id, claim(world, certificate_id))
    reservation = change.after.state.reservation
    assert reservation is not None
    message = Reserve(channel="pos", reservation_id=reservation.reservation_id, nominal=GIFT.nominal)
    await hold_to_domain(world, change, message, "pos")


@pytest.mark.parametrize("nominal", [None, 250_000])
async def test_a_claim_of_open_value_is_as_the_domain_says(world: World, nominal: int | None) -> None:
    certificate_id = await of_open_value(world)
    change = await changed(world, certificate_id, claim(world, certificate_id, nominal))
    reservation = change.after.state.reservation
    assert reservation is not None
    message = Reserve(channel="pos", reservation_id=reservation.reservation_id, nominal=nominal)
    await hold_to_domain(world, change, message, "pos")


async def test_a_claim_of_what_has_an_open_case_makes_its_run_look_when_the_reservation_ends(
    world: World,
) -> None:
    certificate_id = await with_an_open_case(world)
    await claim(world, certificate_id)
    stored = await world.stored(certificate_id)
    assert stored.next_instant == world.now + GIFT.reservation
    assert await lapse(world) == 0
    assert (await world.advance(certificate_id)).status == "available"


@pytest.mark.parametrize("make", [*map(then_reserved, NOTHING_OPEN), reserved_and_blocked])
async def test_a_lapse_is_as_the_domain_says(world: World, make: Callable[[World], Awaitable[str]]) -> None:
    certificate_id = await make(world)
    change = await changed(world, certificate_id, lapse(world))
    reservation = change.before.state.reservation
    assert reservation is not None
    await hold_to_domain(world, change, ReservationLapsed(reservation.reservation_id))


@pytest.mark.parametrize(
    "make", [*NOTHING_OPEN, blocked, *map(then_reserved, NOTHING_OPEN), reserved_and_blocked, of_open_value]
)
async def test_a_retirement_is_as_the_domain_says(
    world: World, make: Callable[[World], Awaitable[str]]
) -> None:
    certificate_id = await make(world)
    change = await changed(world, certificate_id, retire(world, certificate_id))
    await hold_to_domain(world, change, RETIRE)
    assert await world.rows("SELECT 1 FROM reservations WHERE resolved_at IS NULL") == []


@pytest.mark.parametrize("make", [with_an_open_case, then_reserved(with_an_open_case)])
async def test_a_retirement_leaves_what_has_an_open_case(
    world: World, make: Callable[[World], Awaitable[str]]
) -> None:
    certificate_id = await make(world)
    change = await changed(world, certificate_id, retire(world, certificate_id))
    assert change.after == change.before
    assert await retire(world, certificate_id) == (UUID(certificate_id),)
