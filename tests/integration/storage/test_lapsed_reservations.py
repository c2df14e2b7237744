from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.stream import stamp
from giftcert.domain.decide import decide
from giftcert.domain.messages import ReservationLapsed
from giftcert.domain.policy import Policy, Terms
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.reservations import ReservationRepository
from tests.crashes import CrashError, Step, around_each, crash
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration
LONG_AGO = timedelta(hours=2)


async def sweep(tables: Tables, now: datetime | None = None, limit: int = 100) -> int:
    async with tables.engine.begin() as connection:
        return await ReservationRepository(connection).release_lapsed(limit, now or datetime.now(UTC))


async def test_a_lapsed_reservation_goes_back_to_the_pool_as_the_domain_says(tables: Tables) -> None:
    await tables.fill(1)
    [claim] = await tables.reserve(ago=LONG_AGO)
    async with tables.engine.connect() as connection:
        before = await CertificateRepository(connection).load(claim["certificateId"])
    now = datetime.now(UTC)
    await tables.caught_up(now, now)
    assert await sweep(tables, now) == 1
    message = ReservationLapsed(key="k", reservation_id=claim["reservationId"])
    events = decide(before.state, message, now, Terms(GIFT, Policy()), lambda: "unused")
    [expected] = stamp(before.state, events, at=now, occurred_at=now, channel="im", cause=None)
    told = (await tables.rows("SELECT * FROM events WHERE certificate_id IS NOT NULL ORDER BY position"))[-1]
    for name in ("event_type", "occurred_at", "channel", "sale_channel", "status", "refund_state", "payload"):
        assert told[name] == getattr(expected, name), name
    for name in ("nominal", "currency", "balance", "held"):
        assert told[name] == getattr(expected, name), name
    [row] = await tables.rows("SELECT * FROM certificates")
    assert (row["status"], row["available_since"], row["sequence"]) == ("available", now, 2)
    [reservation] = await tables.rows("SELECT * FROM reservations")
    assert (reservation["resolution"], reservation["resolved_at"]) == ("reservationExpired", now)


async def test_nothing_is_released_before_its_time(tables: Tables) -> None:
    await tables.fill(1)
    await tables.reserve()
    await tables.caught_up(datetime.now(UTC) + timedelta(hours=1))
    assert await sweep(tables) == 0


async def test_nothing_is_released_while_nobody_knows_how_far_ingest_is(tables: Tables) -> None:
    await tables.fill(1)
    await tables.reserve(ago=LONG_AGO)
    assert await sweep(tables) == 0


async def test_one_partition_that_lies_behind_holds_every_release_back(tables: Tables) -> None:
    await tables.fill(1)
    await tables.reserve(ago=LONG_AGO)
    now = datetime.now(UTC)
    await tables.caught_up(now, now - LONG_AGO, now)
    assert await sweep(tables) == 0
    await tables.run("UPDATE ingest_marks SET caught_up_to = :now", now=now)
    assert await sweep(tables) == 1


async def test_a_delivery_that_is_not_applied_holds_its_certificate_back(tables: Tables) -> None:
    await tables.fill(2)
    claims = await tables.reserve(2, ago=LONG_AGO)
    await tables.caught_up(datetime.now(UTC))
    waiting = claims[0]["certificateId"]
    key = await tables.deliver(waiting)
    assert await sweep(tables) == 1
    [row] = await tables.rows("SELECT certificate_id::text AS id FROM certificates WHERE status = 'reserved'")
    assert row["id"] == waiting
    await tables.run("INSERT INTO applied_messages VALUES (CAST(:id AS uuid), :key)", id=waiting, key=key)
    assert await sweep(tables) == 1


async def test_those_held_back_do_not_keep_others_waiting_behind_the_limit(tables: Tables) -> None:
    await tables.fill(3)
    for claim in await tables.reserve(2, ago=2 * LONG_AGO):
        await tables.deliver(claim["certificateId"])
    await tables.reserve(1, ago=LONG_AGO)
    await tables.caught_up(datetime.now(UTC))
    assert await sweep(tables, limit=1) == 1


async def test_a_certificate_that_somebody_works_on_is_left_for_the_next_sweep(tables: Tables) -> None:
    await tables.fill(1)
    [claim] = await tables.reserve(ago=LONG_AGO)
    await tables.caught_up(datetime.now(UTC))
    async with tables.engine.begin() as other:
        await CertificateRepository(other).lock(claim["certificateId"], ())
        assert await sweep(tables) == 0
    assert await sweep(tables) == 1
    assert await sweep(tables) == 0


@around_each((AsyncConnection, "execute"), (ReservationRepository, "release_lapsed"))
@pytest.mark.parametrize("nth", [1, 2])
async def test_a_sweep_that_dies_at_any_step_releases_once(
    tables: Tables, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str, nth: int
) -> None:
    """First its locks are taken, then all is changed and told by one statement."""
    await tables.fill(2)
    await tables.reserve(2, ago=LONG_AGO)
    await tables.caught_up(datetime.now(UTC))
    happened = crash(monkeypatch, step, moment, nth=nth if step[0] is AsyncConnection else 1)
    with pytest.raises(CrashError):
        await sweep(tables)
    assert happened.is_set()
    assert await sweep(tables) == 2
    assert await sweep(tables) == 0
    released = (
        "SELECT sequence, payload ->> 'reason' AS reason FROM events WHERE event_type = 'issue.released'"
    )
    assert await tables.rows(released) == 2 * [{"sequence": 2, "reason": "reservationExpired"}]
    resolved = "SELECT resolution FROM reservations"
    assert await tables.rows(resolved) == 2 * [{"resolution": "reservationExpired"}]
