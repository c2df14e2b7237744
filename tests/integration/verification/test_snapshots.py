"""``audit.snapshot``: all that was recorded before an instant, told once, and checked by invariant 5."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from giftcert.domain.certificate.messages import Block, Unblock
from giftcert.storage import product_snapshots
from giftcert.storage.events import EventRepository
from giftcert.storage.product_snapshots import record_next
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import ISSUED, POOL, RESERVED
from tests.integration.verification.spoiling import publish_as_recorded
from tests.named_values import query
from tests.waiting import until

pytestmark = pytest.mark.integration
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


async def payloads(world: World, event_type: str) -> list[dict[str, Any]]:
    statement = "SELECT payload FROM events WHERE event_type = :event_type ORDER BY event_id"
    async with world.database.connection() as connection:
        return [row["payload"] for row in await query(connection, statement, event_type=event_type)]


async def snapshots(world: World) -> list[dict[str, Any]]:
    return await payloads(world, "audit.snapshot")


async def money(world: World, event_type: str, field: str) -> int:
    return sum(one[field]["amount"] for one in await payloads(world, event_type))


async def test_a_snapshot_says_how_a_product_stands(world: World) -> None:
    assert await record_next(world.database, HOUR) == 1

    [said] = await snapshots(world)
    async with world.database.connection() as connection:
        statement = "SELECT status, blocked, balance, held FROM certificates"
        certificates = await query(connection, statement)
    statuses = Counter("blocked" if row["blocked"] else row["status"] for row in certificates)
    assert said["asOf"].endswith(":00:00Z")
    assert {name: count for name, count in said["statuses"].items() if count} == statuses
    assert sum(said["statuses"].values()) == POOL
    assert said["available"] == statuses["available"]
    owed, held = (sum(row[name] for row in certificates) for name in ("balance", "held"))
    assert said["held"] == {"amount": held, "currency": "RUB"}
    assert said["liability"] == {"amount": owed + held, "currency": "RUB"}


async def test_the_money_of_a_snapshot_is_counted_as_bi_counts_it(world: World) -> None:
    await record_next(world.database, HOUR)

    said = {name: one["amount"] for name, one in (await snapshots(world))[0].items() if "amount" in str(one)}
    back = [one for one in await payloads(world, "refund.completed") if not one["beforeIssue"]]
    refunded = sum(one["amount"]["amount"] - one["excess"]["amount"] for one in back)
    assert refunded > 0
    assert said["refunded"] == refunded
    assert said["revenue"] == await money(world, "issue.completed", "amount") - refunded
    assert said["redeemed"] == await money(world, "redemption.captured", "amount") > 0
    assert said["breakage"] == await money(world, "audit.expired", "breakage") > 0
    assert said["taken"] == sum(one["taken"]["amount"] for one in back)
    assert said["uncovered"] == sum(one["uncovered"]["amount"] for one in back)
    assert said["liability"] == said["issued"] - said["redeemed"] - said["taken"] - said["breakage"]


async def test_an_hour_is_recorded_once_whichever_process_does_it(world: World) -> None:
    recorded = await asyncio.gather(*(record_next(world.database, HOUR) for _ in range(4)))
    assert sorted(recorded) == [0, 0, 0, 1]
    assert len(await snapshots(world)) == 1


async def test_a_later_snapshot_adds_what_came_since_and_verification_finds_nothing(world: World) -> None:
    async def is_next_recorded() -> bool:
        return await record_next(world.database, SECOND) > 0

    await until(is_next_recorded)
    before = len(await snapshots(world))
    await world.sales.act(RESERVED, Block(reason="reported stolen", by="anna"))
    await world.sales.act(ISSUED, Block(reason="reported stolen", by="anna"))
    await world.sales.act(ISSUED, Unblock(reason="found again", by="anna"))

    async def is_block_counted() -> bool:
        await record_next(world.database, SECOND)
        published = await snapshots(world)
        return published[-1]["statuses"]["reserved"] < published[before - 1]["statuses"]["reserved"]

    await until(is_block_counted)
    await publish_as_recorded(world)
    assert [str(one) for one in (await world.verify()).violations] == []


async def test_a_snapshot_waits_for_what_is_being_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_snapshots, "_LOOKS", 1)
    async with world.database.transaction() as connection:
        events = EventRepository(connection)
        await events.append_act("GC-5000", "anna", "looked", await world.value("SELECT clock_timestamp()"))
        assert await record_next(world.database, HOUR) == 0
    assert await record_next(world.database, HOUR) == 1


@pytest.mark.parametrize(
    ("figure", "seen"),
    [("{liability,amount}", "liability"), ("{statuses,issued}", "issued"), ("{revenue,amount}", "revenue")],
)
async def test_5_a_snapshot_that_says_something_else_is_named(world: World, figure: str, seen: str) -> None:
    await record_next(world.database, HOUR)
    await world.spoil(
        """UPDATE events SET payload = jsonb_set(payload, :figure::text[], '1234')
            WHERE event_type = 'audit.snapshot'""",
        figure=figure.strip("{}").split(","),
    )
    await publish_as_recorded(world)
    [violation] = (await world.verify()).violations
    assert (violation.invariant, violation.rule, violation.subject) == (5, "snapshotDiffers", "GC-5000")
    assert violation.seen == "audit.snapshot says 1234"
    assert seen in violation.expected
