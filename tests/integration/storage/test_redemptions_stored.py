"""What stands of redemptions, as decisions wrote it."""

from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from giftcert.domain.certificate.state import Redemption, RedemptionState
from giftcert.storage.decisions import write
from giftcert.storage.redemptions import RedemptionRepository, StoredRedemption
from tests.integration.storage.decided_rows import NOW, Rows, decision, loaded, transaction
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration

HOLD = Redemption(
    redemption_id="R-1",
    state=RedemptionState.AUTHORIZED,
    order_id="POS-1",
    channel="pos",
    held=200_000,
    expires_at=NOW + timedelta(minutes=30),
)
SPENT = replace(HOLD, state=RedemptionState.CAPTURED, held=0, spent=150_000, restored=20_000)


async def store(tables: Tables, certificate_id: str, *redemptions: Redemption) -> None:
    found = await loaded(tables, certificate_id)
    async with transaction(tables) as connection:
        assert await write(connection, decision(found, redemptions=redemptions))


async def find(tables: Tables, redemption_id: str = "R-1") -> StoredRedemption | None:
    async with tables.database.connection() as connection:
        return await RedemptionRepository(connection).find(redemption_id)


async def test_a_redemption_is_found_by_its_id_with_the_amount_that_was_asked_for(
    tables: Tables, rows: Rows
) -> None:
    assert await find(tables) is None
    await store(tables, rows.certificate_id, HOLD)
    await store(tables, rows.certificate_id, SPENT)
    found = await find(tables)
    assert found is not None
    assert (found.certificate_id, found.state) == (rows.certificate_id, RedemptionState.CAPTURED)
    assert (found.amount, found.held, found.spent, found.restored) == (200_000, 0, 150_000, 20_000)
    assert found.expires_at == HOLD.expires_at


async def test_a_redemption_that_payments_alone_tell_of_takes_nobody_elses_place(
    tables: Tables, rows: Rows
) -> None:
    await tables.fill(1)
    [other] = set(await tables.certificate_ids()) - {rows.certificate_id}
    direct = Redemption(
        redemption_id="R-1", state=RedemptionState.CAPTURED, order_id="POS-9", channel="im", spent=1
    )
    await store(tables, other, direct, replace(direct, redemption_id="receipt 17"))
    await store(tables, rows.certificate_id, HOLD)
    found, receipt = await find(tables), await find(tables, "receipt 17")
    assert found is not None
    assert found.certificate_id == rows.certificate_id
    assert receipt is not None
    assert (receipt.amount, receipt.expires_at) == (1, None)


@pytest.mark.parametrize(
    "impossible",
    [
        replace(HOLD, held=0),
        replace(HOLD, state=RedemptionState.VOIDED),
        replace(SPENT, restored=150_001),
    ],
)
async def test_what_can_never_be_is_not_stored(tables: Tables, rows: Rows, impossible: Redemption) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await store(tables, rows.certificate_id, impossible)
