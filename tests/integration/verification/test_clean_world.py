"""Where nothing is wrong nothing is found, and everything was looked at."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from giftcert.domain.certificate.disclosure import DisclosureRefusal
from giftcert.domain.certificate.messages import Block, DiscloseCvc, Unblock
from giftcert.domain.certificate.state import Status
from giftcert.lifecycle.retirement import retire_next
from giftcert.storage.database import Database
from giftcert.storage.operations import Operation, OperationRepository
from giftcert.verification.verify import verify
from giftcert.verification.violations import INVARIANTS
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    HELD,
    ORDERED,
    POOL,
    UNKNOWN,
    Sales,
    publish_all,
    redemption_of,
)
from tests.integration.verification.spoiling import as_it_was
from tests.shared_servers import as_reader

pytestmark = pytest.mark.integration


async def test_a_clean_world_keeps_all_invariants(world: World) -> None:
    findings = await world.verify()

    assert [str(one) for one in findings.violations] == []
    assert findings.hold
    assert findings.unchecked == []
    assert all(findings.checked[one] > 0 for one in INVARIANTS), findings.checked
    assert findings.checked[5] == POOL
    assert {"stream", "workflows", "certificates", "orders"} <= set(world.shown)


async def test_whoever_only_reads_may_verify(world: World) -> None:
    await world.link()
    async with Database(as_reader(world.settings.database_address)) as reader:
        findings = await verify(replace(world.sources, database=reader), lambda *_: None)
    assert findings.hold
    assert findings.checked[5] == POOL


async def test_a_clean_world_has_whatever_can_be_wrong(world: World) -> None:
    statuses = await world.value("SELECT array_agg(DISTINCT status) FROM certificates")
    assert set(statuses) == set(Status) - {Status.RETIRED}
    types = await world.value("SELECT array_agg(DISTINCT split_part(event_type, '.', 1)) FROM events")
    assert set(types) == {"issue", "notification", "redemption", "refund", "audit", "alert", "error"}
    for table in ("disclosures", "quarantine", "idempotency_keys", "inbox", "spendings", "redemptions"):
        assert await world.value(f"SELECT count(*) FROM {table}") > 0, table  # noqa: S608
    shares = "SELECT count(*) FROM events WHERE event_type = 'refund.resolved'"
    assert await world.value(shares) > 0


async def test_operations_that_withdraw_a_whole_batch_break_no_invariant(world: World) -> None:
    await world.tell_again(as_it_was)  # onto a stream of its own
    retired = await retire(world, batch_id=await world.value("SELECT batch_id FROM batches"))
    assert (retired.done, retired.retired > 1, retired.blocked > 1) == (POOL, True, True)
    await publish_all(world.database, world.settings)
    assert [str(one) for one in (await world.verify()).violations] == []


async def test_the_life_of_one_that_was_never_reserved_may_begin_with_anything(world: World) -> None:
    """It is blocked, or retired, or neither; somebody asks for its CVC, and an order names it."""
    await world.tell_again(as_it_was)
    ids = await world.value("SELECT array_agg(certificate_id) FROM certificates WHERE sequence = 0")
    untouched, blocked, retired, *_ = map(str, ids)
    sales = Sales.of(world.database, world.keyring, dict.fromkeys((untouched, blocked, retired), UNKNOWN))
    await sales.act(1, Block(reason="the printer lost it", by="olga"))
    await retire(world, certificate_id=UUID(retired))
    asked = DiscloseCvc(disclosed_to="crm", purpose="notification", notification_id=None)
    for nth, certificate_id in enumerate(sales.ids):
        outcome = await sales.lifecycle.act(certificate_id, asked, datetime.now(UTC))
        assert outcome.refusal is DisclosureRefusal.NOT_ACTIVE
        line = sales.store.line(nth, reservationId=None)
        await sales.store.commit(sales.stated(nth, orderId=f"IM-N{nth}", lines=[line]))
    await sales.decide()
    await sales.act(1, Unblock(reason="found", by="olga"))
    await publish_all(world.database, world.settings)
    published = "SELECT array_agg(event_type || ' ' || status ORDER BY sequence) FROM events WHERE certificate_id = :id"
    refused, acted = ["audit.cvcRefused", "error.orderConflict"], "audit.operatorActed"
    for certificate_id, status, before, after in (
        (untouched, "available", [], []),
        (
            blocked,
            "blocked",
            [f"{one} blocked" for one in ("audit.blocked", acted)],
            [f"{one} available" for one in ("audit.unblocked", acted)],
        ),
        (retired, "retired", ["audit.retired retired"], []),
    ):
        expected = [*before, *(f"{one} {status}" for one in refused), *after]
        assert await world.value(published, id=UUID(certificate_id)) == expected
    assert [str(one) for one in (await world.verify()).violations] == []


async def retire(world: World, **what: UUID) -> Operation:
    """Retire a batch or a certificate, as operations ask."""
    moment = datetime.now(UTC)
    wanted = {"batch_id": None, "certificate_id": None, "reason": "lost", "requested_by": "olga"}
    operation = Operation(operation_id=uuid4(), requested_at=moment, **wanted | what)
    async with world.database.transaction() as connection:
        await OperationRepository(connection).start(operation, "GiftCertificates.Stream-0")
    while not (await retire_next(world.lifecycle, operation.operation_id, moment)).finished:
        pass
    async with world.database.connection() as connection:
        stored = await OperationRepository(connection).find(operation.operation_id)
    assert stored is not None
    return stored


async def test_a_sample_looks_at_so_many_certificates(world: World) -> None:
    findings = await world.verify(sample=4)

    assert [str(one) for one in findings.violations] == []
    assert findings.checked[5] == 4


async def test_verifying_leaves_nothing_behind(world: World) -> None:
    await world.verify()

    left = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"
    assert await world.value(left) == 0


async def test_the_service_is_judged_by_its_own_policy_and_not_by_that_of_the_shell(world: World) -> None:
    """A certificate is paid with another one, as the shell's settings allow and the service's do not."""
    await world.tell_again(as_it_was)  # onto a stream of its own
    sales, pays = world.sales, {"tender": "giftCertificate", "certificateId": world.ids[HELD]}
    money = sales.money(ORDERED, redemptionId=redemption_of(HELD), **pays)
    await sales.store.commit(sales.store.payment_record(money))
    await sales.decide()
    await publish_all(world.database, world.settings)
    world.settings = world.settings.model_copy(update={"certificates_buy_certificates": True})

    assert [str(one) for one in (await world.verify()).violations] == []
