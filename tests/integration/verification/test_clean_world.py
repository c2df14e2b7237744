"""Where nothing is wrong nothing is found, and everything was looked at."""

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.certificates import CertificateActivities
from giftcert.domain.messages import Unblock
from giftcert.domain.policy import Policy
from giftcert.people.blocking import Blocking
from giftcert.people.deciding import Act
from giftcert.people.retiring import Retiring
from giftcert.storage.disclosures import DisclosureRepository, DisclosureRequest
from giftcert.verification.violations import INVARIANTS
from tests.integration.kafka_ingest.ingest_store import Store
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import POOL, Sales, publish_all
from tests.integration.verification.spoiling import as_it_was
from tests.unit.contracts.topic_records import order

pytestmark = pytest.mark.integration


async def test_a_clean_world_keeps_all_nine_invariants(world: World) -> None:
    findings = await world.verify()

    assert [str(one) for one in findings.violations] == []
    assert findings.hold
    assert findings.unchecked == []
    assert all(findings.checked[one] > 0 for one in INVARIANTS), findings.checked
    assert findings.checked[5] == POOL
    assert {"stream", "workflows", "certificates"} <= set(world.shown)


async def test_a_clean_world_has_whatever_can_be_wrong(world: World) -> None:
    statuses = await world.value("SELECT array_agg(DISTINCT status ORDER BY status) FROM certificates")
    assert statuses == ["available", "issued", "ordered", "partiallyRedeemed", "refunded", "reserved"]
    types = await world.value("SELECT array_agg(DISTINCT split_part(event_type, '.', 1)) FROM events")
    assert set(types) == {"issue", "notification", "redemption", "refund", "audit", "error"}
    for table in ("disclosures", "quarantine", "idempotency_keys", "inbox", "deliveries", "redemptions"):
        assert await world.value(f"SELECT count(*) FROM {table}") > 0, table  # noqa: S608


async def test_an_authorisation_that_waits_in_its_workflow_is_no_loss(world: World) -> None:
    await world.spoil("UPDATE deliveries SET sent_at = sent_at - interval '1 h'")
    waits = (
        "SELECT count(*) FROM deliveries LEFT JOIN applied_messages AS a USING (certificate_id, message_key)"
    )
    assert await world.value(f"{waits} WHERE a.message_key IS NULL") == 1
    assert await world.broken() == {}


async def test_people_who_withdraw_a_whole_batch_break_no_invariant(world: World) -> None:
    await world.tell_again(as_it_was)  # onto a stream of its own
    never_reserved = await world.value("SELECT certificate_id FROM certificates WHERE sequence = 0 LIMIT 1")
    act = Act("the printer lost a box", "olga")
    await Blocking(world.engine, no_workflow, Policy(), ("im",)).block(never_reserved, act)
    assert await world.broken() == {}
    await Retiring(world.engine, Policy(), act).batch(await world.value("SELECT batch_id FROM batches"))
    await publish_all(world.engine, world.settings)
    assert await world.value("SELECT count(*) FROM certificates WHERE status = 'retired'") > 1
    assert [str(one) for one in (await world.verify()).violations] == []


async def test_what_is_told_of_one_that_was_never_reserved_may_begin_its_life(world: World) -> None:
    """It was blocked, or retired, or neither; an order names it, and somebody asks for its CVC."""
    await world.tell_again(as_it_was)
    ids = "SELECT array_agg(certificate_id) FROM certificates WHERE sequence = 0"
    untouched, blocked, retired = await world.value(ids)
    act = Act("the printer lost it", "olga")
    await Blocking(world.engine, no_workflow, Policy(), ("im",)).block(blocked, act)
    await Retiring(world.engine, Policy(), act).certificate(retired)
    for nth, never_reserved in enumerate((untouched, blocked, retired)):
        asked = DisclosureRequest(
            certificate_id=never_reserved, disclosed_to="crm", purpose="notification", notification_id=None
        )
        async with world.engine.begin() as connection:
            decision = await DisclosureRepository(connection).decide(asked, datetime.now(UTC))
        assert decision.refusal is not None
        await order_of_what_was_never_reserved(world, str(never_reserved), f"IM-N{nth}")
    await publish_all(world.engine, world.settings)
    told = "SELECT array_agg(event_type ORDER BY sequence) FROM events WHERE certificate_id = :id"
    for never_reserved in (untouched, blocked, retired):
        assert await world.value(told, id=never_reserved) == ["audit.cvcRefused", "error.orderConflict"]
    assert [str(one) for one in (await world.verify()).violations] == []


@pytest.mark.parametrize("named", [True, False], ids=["named by an order", "named by none"])
async def test_a_block_may_hide_how_one_that_was_never_reserved_begins_its_life(
    world: World, *, named: bool
) -> None:
    """Whether it was retired before the stream knew of it is seen when the block is lifted."""
    await world.tell_again(as_it_was)
    retired = await world.value("SELECT certificate_id FROM certificates WHERE sequence = 0 LIMIT 1")
    act = Act("the printer lost it", "olga")
    await Blocking(world.engine, no_workflow, Policy(), ("im",)).block(retired, act)
    await Retiring(world.engine, Policy(), act).certificate(retired)
    if named:
        await order_of_what_was_never_reserved(world, str(retired), "IM-N0")
        await publish_all(world.engine, world.settings)
        assert [str(one) for one in (await world.verify()).violations] == []
    await sales_of(world, str(retired)).tell(str(retired), Unblock(key="u-1", reason="found", by="olga"))
    await publish_all(world.engine, world.settings)
    told = "SELECT array_agg(event_type || ' ' || status ORDER BY sequence) FROM events WHERE certificate_id = :id"
    before = ["error.orderConflict blocked"] if named else []
    assert await world.value(told, id=retired) == [*before, "audit.unblocked retired"]
    assert [str(one) for one in (await world.verify()).violations] == []


async def order_of_what_was_never_reserved(world: World, certificate_id: str, order_id: str) -> None:
    sales = sales_of(world, certificate_id)
    line = sales.store.line(reservationId=None)
    await sales.store.commit(sales.store.order_record(order(orderId=order_id, total=500_000, lines=[line])))
    await sales.apply()


def sales_of(world: World, certificate_id: str) -> Sales:
    store = Store(world.engine, world.keyring, [certificate_id])
    settings = world.settings
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    activities = CertificateActivities(world.engine, settings)
    return Sales(world.engine, url, world.keyring, store, {}, activities)


async def no_workflow(_certificate_id: str, _channel: str, _make: Any) -> Any:
    raise AssertionError("it needs none")


async def test_a_sample_looks_at_so_many_certificates(world: World) -> None:
    findings = await world.verify(sample=4)

    assert [str(one) for one in findings.violations] == []
    assert findings.checked[5] == 4


async def test_verifying_leaves_nothing_behind(world: World) -> None:
    await world.verify()

    left = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"
    assert await world.value(left) == 0
