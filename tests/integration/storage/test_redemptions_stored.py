"""Redemptions by key and by what stands of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from giftcert.domain.state import Redemption, RedemptionState
from giftcert.storage.redemptions import KeyUsedError, RedemptionRepository, WantedRedemption
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration
LATER = datetime(2030, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def repository(tables: Tables) -> AsyncIterator[RedemptionRepository]:
    async with tables.engine.begin() as connection:
        yield RedemptionRepository(connection)


async def wanted(tables: Tables, **others: Any) -> WantedRedemption:
    await tables.fill(1)
    [certificate_id, *_] = await tables.certificate_ids()
    values = {
        "caller": "till",
        "key": "k-1",
        "parameters": b"200000 for POS-1",
        "redemption_id": uuid4(),
        "certificate_id": UUID(certificate_id),
        "channel": "pos",
        "order_id": "POS-1",
        "amount": 200_000,
    }
    return WantedRedemption(**values | others)


def hold_of(one: WantedRedemption, **others: Any) -> Redemption:
    values = {
        "redemption_id": str(one.redemption_id),
        "state": RedemptionState.AUTHORIZED,
        "order_id": one.order_id,
        "channel": one.channel,
        "held": one.amount,
        "expires_at": LATER,
    }
    return Redemption(**values | others)


async def begin(tables: Tables, one: WantedRedemption) -> Any:
    async with repository(tables) as redemptions:
        return await redemptions.begin(one)


async def store(tables: Tables, certificate_id: UUID, *changed: Redemption) -> None:
    async with repository(tables) as redemptions:
        await redemptions.store(str(certificate_id), changed)


async def test_a_repeat_asks_for_the_same_redemption(tables: Tables) -> None:
    one = await wanted(tables)
    first, again = await begin(tables, one), await begin(tables, replace(one, redemption_id=uuid4()))
    assert first.redemption_id == again.redemption_id == str(one.redemption_id)
    assert (first.state, first.amount, first.currency, first.sale_channel) == (None, 200_000, "RUB", None)


async def test_repeats_at_the_same_moment_agree_on_one_redemption(tables: Tables) -> None:
    one = await wanted(tables)
    begun = await asyncio.gather(*(begin(tables, replace(one, redemption_id=uuid4())) for _ in range(8)))
    assert len({found.redemption_id for found in begun}) == 1


async def test_a_key_stands_for_one_set_of_parameters(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    with pytest.raises(KeyUsedError):
        await begin(tables, replace(one, parameters=b"300000 for POS-1", amount=300_000))
    await begin(tables, replace(one, caller="another till", parameters=b"x", redemption_id=uuid4()))


async def test_a_key_is_free_again_once_its_only_attempt_was_refused(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    async with repository(tables) as redemptions:
        await redemptions.refused(one, str(one.redemption_id))
    less = replace(one, parameters=b"100000 for POS-1", amount=100_000, redemption_id=uuid4())
    assert (await begin(tables, less)).redemption_id == str(less.redemption_id)


async def test_a_key_stays_while_another_attempt_may_yet_be_carried_out(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    await begin(tables, one)
    async with repository(tables) as redemptions:
        await redemptions.refused(one, str(one.redemption_id))
    await store(tables, one.certificate_id, hold_of(one))
    assert (await begin(tables, one)).state == RedemptionState.AUTHORIZED


async def test_a_refusal_that_comes_late_forgets_nothing_that_stands(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    await store(tables, one.certificate_id, hold_of(one))
    async with repository(tables) as redemptions:
        await redemptions.refused(one, str(one.redemption_id))
    assert (await begin(tables, one)).state == RedemptionState.AUTHORIZED


async def test_what_stands_is_found_by_id_once_it_is_carried_out(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    async with repository(tables) as redemptions:
        assert await redemptions.find(one.redemption_id) is None
    await store(tables, one.certificate_id, hold_of(one))
    spent = hold_of(one, state=RedemptionState.CAPTURED, held=0, spent=150_000, restored=20_000)
    await store(tables, one.certificate_id, spent)
    async with repository(tables) as redemptions:
        found = await redemptions.find(one.redemption_id)
    assert found is not None
    assert (found.state, found.held, found.spent, found.restored, found.amount, found.expires_at) == (
        RedemptionState.CAPTURED,
        0,
        150_000,
        20_000,
        200_000,
        LATER,
    )


async def test_a_redemption_that_payments_alone_tell_of_takes_nobody_elses_place(tables: Tables) -> None:
    one = await wanted(tables)
    await begin(tables, one)
    await store(tables, one.certificate_id, hold_of(one))
    await tables.fill(1)
    [other] = set(await tables.certificate_ids()) - {str(one.certificate_id)}
    direct = hold_of(one, state=RedemptionState.CAPTURED, channel=None, held=0, spent=1, expires_at=None)
    await store(tables, UUID(other), direct, replace(direct, redemption_id="receipt 17"))
    async with repository(tables) as redemptions:
        found = await redemptions.find(one.redemption_id)
    assert found is not None
    assert found.certificate_id == str(one.certificate_id)
    rows = await tables.rows("SELECT redemption_id FROM redemptions WHERE caller IS NULL ORDER BY 1")
    assert {row["redemption_id"] for row in rows} == {str(one.redemption_id), "receipt 17"}


@pytest.mark.parametrize(
    "impossible",
    [
        {"held": 0},
        {"state": RedemptionState.VOIDED},
        {"state": RedemptionState.CAPTURED, "held": 0, "spent": 1, "restored": 2},
    ],
)
async def test_what_can_never_be_is_not_stored(tables: Tables, impossible: dict[str, Any]) -> None:
    one = await wanted(tables)
    with pytest.raises(IntegrityError):
        await store(tables, one.certificate_id, hold_of(one, **impossible))


async def test_nothing_changed_is_nothing_written(tables: Tables) -> None:
    one = await wanted(tables)
    await store(tables, one.certificate_id)
    assert await tables.rows("SELECT 1 FROM redemptions") == []
