import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from stdnum import luhn

from giftcert.domain.products import Product
from giftcert.security.data_keys import Purpose
from giftcert.security.keyring import Keyring
from giftcert.storage import pool
from giftcert.storage.data_keys import Seals
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.pool_changes import PoolChangeRepository
from giftcert.storage.products import ProductChangedError, ProductRepository
from tests.integration.storage.pool_rows import GIFT, PlainSealer, Tables

pytestmark = pytest.mark.integration


async def test_numbers_are_valid_different_and_sealed_for_their_certificate(
    tables: Tables, tmp_path: Path
) -> None:
    keyring = Keyring.create(tmp_path / "keyring.json")
    product = Product("GC-LONG", "RUB", nominal=1_000, number_length=19, cvc_length=3)
    progress: list[int] = []
    async with tables.database.transaction() as connection:
        await ProductRepository(connection).put([product])
        batch_id = await PoolRepository(connection).generate(
            product, 50, keyring, datetime.now(UTC), progress.append
        )
    rows = await tables.rows("SELECT * FROM certificates JOIN certificate_secrets USING (certificate_id)")
    seals, owners = Seals(tables.database, keyring), [row["certificate_id"].bytes for row in rows]
    pairs = list(zip(rows, owners, strict=True))
    numbers = [(await seals.open(row["number_sealed"], Purpose.NUMBER, one)).decode() for row, one in pairs]
    secrets = [(await seals.open(row["cvc_sealed"], Purpose.CVC, one)).decode() for row, one in pairs]
    assert all(luhn.is_valid(number) and len(number) == 19 for number in numbers)
    assert len(set(numbers)) == 50
    assert all(secret.isdigit() and len(secret) == 3 for secret in secrets)
    assert [row["last_four"] for row in rows] == [number[-4:] for number in numbers]
    assert [row["number_fingerprint"] for row in rows] == [keyring.fingerprint(number) for number in numbers]
    assert {row["batch_id"] for row in rows} == {UUID(str(batch_id))}
    assert progress == [50]


async def test_a_batch_is_told_on_the_stream_of_its_product(tables: Tables) -> None:
    batch_id = await tables.fill(7)
    [event] = await tables.rows("SELECT * FROM events")
    assert (event["event_type"], event["stream_key"], event["product_id"]) == (
        "audit.imported",
        "GC-5000",
        "GC-5000",
    )
    assert event["payload"] == {"batchId": str(batch_id), "count": 7, "source": "generate"}


async def test_a_number_that_exists_already_is_drawn_again(tables: Tables) -> None:
    class Colliding(PlainSealer):
        """Gives the first certificates a number that is taken."""

        def __init__(self) -> None:
            self.drawn = 0

        def fingerprint(self, number: str) -> bytes:
            self.drawn += 1
            return b"taken" if self.drawn in {1, 3} else number.encode()

    async with tables.database.transaction() as connection:
        await ProductRepository(connection).put([GIFT])
        pool, sealer = PoolRepository(connection), Colliding()
        await pool.generate(GIFT, 1, sealer, datetime.now(UTC))
        await pool.generate(GIFT, 5, sealer, datetime.now(UTC))
    assert len(await tables.certificate_ids()) == 6


async def test_a_batch_that_fails_leaves_nothing(tables: Tables) -> None:
    class Broken(PlainSealer):
        def fingerprint(self, number: str) -> bytes:  # noqa: ARG002
            raise ValueError("broken")

    async with tables.database.transaction() as connection:
        await ProductRepository(connection).put([GIFT])
    with pytest.raises(ValueError, match="broken"):
        async with tables.database.transaction() as connection:
            await PoolRepository(connection).generate(GIFT, 5, Broken(), datetime.now(UTC))
    for table in ("batches", "certificates", "events"):
        assert await tables.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608


async def count(tables: Tables) -> list[PoolCount]:
    async with tables.database.transaction() as connection:
        return await PoolRepository(connection).counts(datetime.now(UTC), timedelta(hours=72), 1_000)


async def fold(tables: Tables) -> int:
    async with tables.database.transaction() as connection:
        return await PoolChangeRepository(connection).fold(datetime.now(UTC))


async def test_the_pool_is_counted_by_status_whether_changes_are_added_up_or_not(tables: Tables) -> None:
    await tables.fill(5)
    await tables.reserve(2)
    lately = datetime.now(UTC) - timedelta(hours=1)
    await tables.run(
        "UPDATE certificates SET available_since = :at WHERE certificate_id = ANY(CAST(:ids AS uuid[]))",
        ids=(await tables.certificate_ids())[-2:],
        at=lately,
    )
    before = await count(tables)
    assert await fold(tables) == 2
    await tables.fill(1)
    [after] = await count(tables)
    assert [one.statuses for one in (*before, after)] == [
        {"available": 3, "reserved": 2},
        {"available": 4, "reserved": 2},
    ]
    assert (after.available, after.cooling) == (4, 2)


async def test_changes_are_added_up_once_by_whatever_many_processes(tables: Tables) -> None:
    await tables.fill(20)
    for _ in range(4):
        await tables.reserve(2)
    folded = await asyncio.gather(*(fold(tables) for _ in range(4)))
    assert sum(folded) == 5
    [counted] = await count(tables)
    assert counted.statuses == {"available": 12, "reserved": 8}


async def test_many_changes_that_no_worker_adds_up_are_added_up_by_whoever_counts(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_CHANGES", 1)
    await tables.fill(3)
    await tables.reserve(1)
    async with tables.database.connection() as connection:  # as the API counts, in no transaction
        repository = PoolRepository(connection)
        [counted] = await repository.counts(datetime.now(UTC), timedelta(hours=72), 1_000)
    assert counted.statuses == {"available": 2, "reserved": 1}
    assert await tables.rows("SELECT 1 FROM pool_changes") == []
    assert (await count(tables))[0].statuses == {"available": 2, "reserved": 1}


async def test_a_product_gets_new_terms_but_never_another_currency_or_nominal(tables: Tables) -> None:
    longer = Product("GC-5000", "RUB", nominal=500_000, reservation=timedelta(hours=1))
    async with tables.database.connection() as connection:
        products = ProductRepository(connection)
        await products.put([GIFT])
        await products.put([longer])
        assert await products.all() == {"GC-5000": longer}
        for changed in (Product("GC-5000", "EUR", nominal=500_000), Product("GC-5000", "RUB", nominal=1)):
            with pytest.raises(ProductChangedError):
                await products.put([changed])
