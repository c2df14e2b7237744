"""The audit chain: what the owner of the tables changes, removes, puts in or swaps behind the service is named."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from activities.maintenance import MaintenanceActivities
from giftcert.security.keyring import Keyring
from giftcert.storage.audit_chain import AuditChainRepository
from tests.integration.verification.conftest import EVENTS_OF_A_LINK, World
from tests.integration.verification.sold_world import BLOCKED, ISSUED, SOLD
from tests.integration.verification.spoiling import publish_as_recorded

pytestmark = pytest.mark.integration


@pytest.fixture
async def chained(world: World) -> World:
    """A world whose events were linked before somebody comes."""
    await world.link()
    world.keeps_chain = True
    return world


async def named(world: World) -> set[tuple[str, str]]:
    """The rules of the chain that are broken, and what is named."""
    return {(one.rule, one.subject) for one in (await world.verify()).violations if one.invariant == 10}


async def test_a_chain_that_nobody_touched_holds(chained: World) -> None:
    assert await chained.broken() == {}
    assert await chained.value("SELECT count(*) FROM audit_links") > 2


@pytest.mark.parametrize(
    "change",
    [
        'payload = payload || \'{"reason": "a friend asked"}\'',
        "occurred_at = occurred_at - interval '1 s'",
        "cause_event_id = 'made up'",
    ],
)
async def test_a_changed_event_is_named_though_the_stream_says_the_same(chained: World, change: str) -> None:
    blocked = "UPDATE events SET {} WHERE certificate_id = :id AND event_type = 'audit.blocked'"
    await chained.spoil(blocked.format(change), of=BLOCKED)
    await publish_as_recorded(chained)
    assert ("changed", chained.ids[BLOCKED]) in await named(chained)


async def test_a_removed_event_is_named(chained: World) -> None:
    event_id = str(await chained.value("SELECT event_id FROM events WHERE event_type = 'audit.imported'"))
    await chained.spoil("DELETE FROM events WHERE event_type = 'audit.imported'")
    await publish_as_recorded(chained)
    assert ("removed", event_id) in await named(chained)


async def test_an_event_that_was_put_in_is_named(chained: World) -> None:
    made_up = uuid4()
    await chained.spoil(
        """INSERT INTO events (event_id, stream_key, event_type, occurred_at, recorded_at, payload)
            SELECT :made_up, stream_key, event_type, occurred_at, recorded_at, payload FROM events
            WHERE event_type = 'audit.imported'""",
        made_up=made_up,
    )
    await publish_as_recorded(chained)
    assert ("unlinked", str(made_up)) in await named(chained)


async def test_events_that_changed_places_are_both_named(chained: World) -> None:
    first, second = (UUID(chained.ids[nth]) for nth in (ISSUED, BLOCKED))
    await chained.spoil(
        """UPDATE events AS e SET payload = other.payload FROM events AS other
            WHERE e.certificate_id IN (:first, :second) AND other.certificate_id IN (:first, :second)
                AND e.certificate_id <> other.certificate_id
                AND e.event_type = 'issue.completed' AND other.event_type = 'issue.completed'""",
        first=first,
        second=second,
    )
    await publish_as_recorded(chained)
    assert {("changed", str(first)), ("changed", str(second))} <= await named(chained)


async def test_events_that_wait_for_their_link_for_long_are_counted(chained: World) -> None:
    event_id = await chained.value("SELECT event_id FROM events WHERE event_type = 'audit.imported'")
    await chained.spoil("INSERT INTO unlinked_events VALUES (:event_id)", event_id=event_id)
    assert await named(chained) == {("chainBehind", "audit chain")}


LINKS: dict[str, set[tuple[str, str]]] = {
    "UPDATE audit_links SET linked_at = linked_at - interval '1 s' WHERE number = 2": {("linkChanged", "2")},
    "UPDATE audit_links SET event_macs = array_fill('\\x00'::bytea, ARRAY[cardinality(event_macs)]) WHERE number = 2": {
        ("linkChanged", "2")
    },
    "UPDATE audit_links SET seal = sha256(seal) WHERE number = 2": {
        ("linkChanged", "2"),
        ("linkChanged", "3"),
    },
    "UPDATE audit_links SET number = 1000000 WHERE number = 2": {("linkMissing", "2")},
}


@pytest.mark.parametrize("statement", LINKS)
async def test_a_link_that_was_changed_removed_or_moved_is_named(chained: World, statement: str) -> None:
    await chained.spoil(statement)
    assert LINKS[statement] <= await named(chained)


async def test_links_that_changed_places_are_both_named(chained: World) -> None:
    await chained.spoil("UPDATE audit_links SET number = 1000000 WHERE number = 1")
    await chained.spoil("UPDATE audit_links SET number = 1 WHERE number = 2")
    await chained.spoil("UPDATE audit_links SET number = 2 WHERE number = 1000000")
    assert {("linkChanged", "1"), ("linkChanged", "2")} <= await named(chained)


async def test_without_the_keyring_nobody_links_what_he_made_up(chained: World, tmp_path: Any) -> None:
    """Every table is his: he changes an event, takes the chain away and makes another."""
    await chained.spoil(
        'UPDATE events SET payload = payload || \'{"by": "bob"}\' WHERE certificate_id = :id AND sequence = 1',
        of=ISSUED,
    )
    await publish_as_recorded(chained)
    chained.keyring, ours = Keyring.create(tmp_path / "his.json"), chained.keyring
    await chained.link()
    chained.keyring = ours
    assert ("linkChanged", "1") in await named(chained)


async def test_maintenance_links_whatever_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.keeps_chain = True
    monkeypatch.setattr("activities.maintenance.EVENTS_AT_ONCE", EVENTS_OF_A_LINK)
    maintenance = MaintenanceActivities(world.database, world.settings, world.lifecycle, world.client)
    with capture_logs() as logged:
        while await maintenance.link_events():
            pass
    assert await world.value("SELECT count(*) FROM unlinked_events") == 0
    last = await world.value("SELECT encode(seal, 'hex') FROM audit_links ORDER BY number DESC LIMIT 1")
    assert (logged[-1]["event"], logged[-1]["seal"]) == ("events linked", last)
    assert await world.broken() == {}


async def test_events_are_linked_once_by_however_many_at_once(world: World) -> None:
    world.keeps_chain = True
    waiting = await world.value("SELECT count(*) FROM unlinked_events")
    linked = 0
    async with world.database.transaction() as first, world.database.transaction() as second:
        one = await AuditChainRepository(first, world.keyring).link_next(EVENTS_OF_A_LINK, datetime.now(UTC))
        other = await AuditChainRepository(second, world.keyring).link_next(
            EVENTS_OF_A_LINK, datetime.now(UTC)
        )
        assert one is not None
        assert other is None
        linked = len(one.event_ids)
    assert await world.value("SELECT count(*) FROM unlinked_events") == waiting - linked > len(SOLD)
