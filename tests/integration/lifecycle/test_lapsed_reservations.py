"""The set statement that gives reservations back whose time is over, many at once."""

import asyncio
from datetime import timedelta

import pytest

from giftcert.storage.reservations import ReservationRepository
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.lifecycle.world import START, World, authorized, goods, sold, stated

pytestmark = pytest.mark.integration


async def release_lapsed(world: World, limit: int = 100) -> int:
    async with world.database.transaction() as connection:
        return await ReservationRepository(connection).release_lapsed(limit, world.now)


async def lapsed(world: World, quantity: int = 1) -> list[str]:
    """Return certificates whose reservations have run out, which ingest has read past."""
    await world.fill(quantity)
    ids = await world.reserve(quantity)
    world.pass_time(timedelta(hours=2))
    await world.catch_up()
    return ids


async def test_what_lapsed_goes_back_to_the_pool_and_is_told(world: World) -> None:
    ids = await lapsed(world, 3)
    assert await release_lapsed(world) == 3
    assert [await world.status(one) for one in ids] == 3 * ["available"]
    assert [await world.published(one) for one in ids] == 3 * [["issue.reserved", "issue.released"]]
    rows = await world.rows("SELECT resolution, resolved_at FROM reservations")
    assert rows == 3 * [{"resolution": "reservationExpired", "resolved_at": world.now}]
    assert await release_lapsed(world) == 0


async def test_an_authorisation_for_an_order_that_lost_its_certificate_keeps_no_reservation_of_somebody_else(
    world: World,
) -> None:
    certificate_id = await world.reserved()
    await world.say(stated("IM-1", 1, sold(certificate_id)))
    await world.advance(certificate_id)
    world.pass_time(world.policy.unpaid_after_order + timedelta(minutes=1))
    await world.catch_up()
    assert (await world.advance(certificate_id)).status == "available"
    world.pass_time(timedelta(days=4))
    assert await world.reserve(channel="pos") == [certificate_id]
    await world.say(authorized("IM-1", at=world.now))
    world.pass_time(timedelta(hours=2))
    await world.catch_up()
    assert await release_lapsed(world) == 1
    assert await world.status(certificate_id) == "available"


async def test_nothing_is_released_before_its_time(world: World) -> None:
    await world.reserved()
    await world.catch_up(world.now + timedelta(days=1))
    assert await release_lapsed(world) == 0


async def test_nothing_is_released_while_nobody_knows_how_far_ingest_is(world: World) -> None:
    await world.reserved()
    world.pass_time(timedelta(hours=2))
    assert await release_lapsed(world) == 0


async def test_one_partition_that_lies_behind_holds_every_release_back(world: World) -> None:
    await lapsed(world)
    await world.run("INSERT INTO ingest_marks VALUES ('All_Payments', 3, :at)", at=START)
    assert await release_lapsed(world) == 0
    await world.run("UPDATE ingest_marks SET caught_up_to = :at", at=world.now)
    assert await release_lapsed(world) == 1


HELD_BACK = {
    "pending": """INSERT INTO pending (certificate_id, order_id, line_key, kind, channel)
        VALUES (CAST(:id AS uuid), 'IM-9', 1, 'order_created', 'im')""",
    "spending": """INSERT INTO spendings (identity, content, certificate_id, message)
        VALUES ('s', '', CAST(:id AS uuid), '{}')""",
    "parked": "UPDATE certificates SET parked = '[]' WHERE certificate_id = CAST(:id AS uuid)",
    "waits": "UPDATE certificates SET waits = true WHERE certificate_id = CAST(:id AS uuid)",
    "open case": """UPDATE certificates SET known_lines = '[["IM-9", 1]]'
        WHERE certificate_id = CAST(:id AS uuid)""",
    "quarantined": """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail, named_ids)
        VALUES ('t', 0, 1, '', 'r', 'd', ARRAY[CAST(:id AS uuid)])""",
    "reservation quarantined": """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail,
        named_ids) SELECT 't', 0, 1, '', 'r', 'd', ARRAY[reservation_id] FROM certificates
        WHERE certificate_id = CAST(:id AS uuid)""",
}
LET_GO = {
    "pending": "DELETE FROM pending",
    "spending": "UPDATE spendings SET applied_at = now()",
    "parked": "UPDATE certificates SET parked = NULL",
    "waits": "UPDATE certificates SET waits = false",
    "open case": "UPDATE certificates SET known_lines = NULL",
    "quarantined": "UPDATE quarantine SET closed_at = now(), closed_how = 'dismissed'",
    "reservation quarantined": "UPDATE quarantine SET closed_at = now(), closed_how = 'replayed'",
}


@pytest.mark.parametrize("why", HELD_BACK)
async def test_what_something_waits_for_or_names_is_passed_over_until_it_does_not(
    world: World, why: str
) -> None:
    held_back, free = await lapsed(world, 2)
    await world.run(HELD_BACK[why], id=held_back)
    assert await release_lapsed(world) == 1
    assert await world.status(free) == "available"
    await world.run(LET_GO[why])
    assert await release_lapsed(world) == 1


async def test_a_record_that_cannot_be_searched_holds_back_what_was_reserved_before_it_was_read(
    world: World,
) -> None:
    [before] = await lapsed(world)
    await world.run(
        """INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail, searchable,
            quarantined_at) VALUES ('t', 0, 1, '', 'r', 'd', false, :at)""",
        at=world.now,
    )
    world.pass_time(timedelta(seconds=1))
    [after] = await lapsed(world)
    assert await release_lapsed(world) == 1
    assert [await world.status(one) for one in (before, after)] == ["reserved", "available"]


async def test_those_held_back_do_not_keep_others_waiting_behind_the_limit(world: World) -> None:
    for certificate_id in await lapsed(world, 2):
        await world.run(HELD_BACK["waits"], id=certificate_id)
    await lapsed(world)
    assert await release_lapsed(world, limit=1) == 1


async def test_a_certificate_that_somebody_works_on_is_left_for_the_next_time(world: World) -> None:
    [certificate_id] = await lapsed(world)
    async with world.database.transaction() as other:
        lock = "SELECT FROM certificates WHERE certificate_id = $1::uuid FOR NO KEY UPDATE"
        await other.execute(lock, certificate_id)
        assert await release_lapsed(world) == 0
    assert await release_lapsed(world) == 1


async def test_orders_that_ingest_commits_before_its_mark_are_never_overtaken(world: World) -> None:
    """Each order is folded, then the mark moves beyond the deadline, while reservations are released all the time."""
    await world.fill(40)
    ids = await world.reserve(40)
    world.pass_time(timedelta(hours=2))

    async def order(nth: int) -> None:
        await world.say(stated(f"IM-{nth}", 1, goods("1", 1), sold(ids[nth], "2")))

    async def ingest() -> None:
        await asyncio.gather(*(order(nth) for nth in range(len(ids))))
        await world.catch_up()

    reading = asyncio.create_task(ingest())
    while not reading.done():
        assert await release_lapsed(world) == 0
    await reading
    assert await release_lapsed(world) == 0
    assert [await world.status(one) for one in ids] == 40 * ["reserved"]


@around_each((ReservationRepository, "_fetchval"), (ReservationRepository, "release_lapsed"))
async def test_a_run_that_dies_at_any_step_releases_once(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    ids = await lapsed(world, 2)
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await release_lapsed(world)
    assert happened.is_set()
    assert await release_lapsed(world) == 2
    assert [await world.published(one) for one in ids] == 2 * [["issue.reserved", "issue.released"]]
