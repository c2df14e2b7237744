"""A file of certificates comes into the pool whole or not at all, and goes on where a crash stopped it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from giftcert.domain.numbers import number_from_digits
from giftcert.domain.products import Product
from giftcert.lifecycle import pool_import
from giftcert.lifecycle.pool_import import FileRefusedError, PoolLoader, Progress
from giftcert.pool_file import PoolFile, PoolFileError
from giftcert.security.data_keys import Purpose
from giftcert.security.keyring import Keyring
from giftcert.storage.data_keys import DataKeyRepository, Seals
from giftcert.storage.pool import PoolRepository
from giftcert.storage.pool_imports import ImportTakenOverError, PoolImport
from giftcert.storage.products import ProductRepository
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration
CRASH = "the process was killed"


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keyring.json")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHUNK", "CHECKED_AT_ONCE", "LOADED_AT_ONCE"):
        monkeypatch.setattr(pool_import, name, 2)


def numbers(count: int) -> list[str]:
    return [number_from_digits(f"{nth:015d}") for nth in range(1, count + 1)]


def written(tmp_path: Path, rows: Sequence[str], header: str = "number,cvc") -> PoolFile:
    path = tmp_path / "certificates.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return PoolFile.open(path)


def good_file(tmp_path: Path, count: int = 5) -> PoolFile:
    return written(tmp_path, [f"{number},{nth:06d}" for nth, number in enumerate(numbers(count))])


async def load(
    tables: Tables,
    keyring: Keyring,
    file: PoolFile,
    progress: Progress = lambda *_: None,
    product: Product = GIFT,
) -> PoolImport:
    async with tables.database.transaction() as connection:
        await ProductRepository(connection).put([product])
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    return await PoolLoader(tables.database, keyring, product, "olga", "Stream-0", clock, progress).load(file)


async def opened(tables: Tables, keyring: Keyring) -> dict[str, str]:
    """The numbers of the pool with their CVCs."""
    seals, found = Seals(tables.database, keyring), {}
    for row in await tables.rows("SELECT * FROM certificate_secrets"):
        owner = row["certificate_id"].bytes
        number = await seals.open(row["number_sealed"], Purpose.NUMBER, owner)
        assert row["number_fingerprint"] == keyring.fingerprint(number.decode())
        found[number.decode()] = (await seals.open(row["cvc_sealed"], Purpose.CVC, owner)).decode()
    return found


async def assert_nothing_is_left(tables: Tables) -> None:
    for table in ("batches", "certificates", "certificate_secrets", "pool_imports", "pool_import_rows"):
        assert await tables.rows(f"SELECT 1 FROM {table}") == [], table  # noqa: S608


def killed_when(what: str, at: int) -> Progress:
    def progress(stage: str, done: int, _total: int) -> None:
        if stage.startswith(what) and done >= at:
            raise KeyboardInterrupt(CRASH)

    return progress


async def test_a_file_is_in_the_pool_sealed_counted_and_told(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    loaded = await load(tables, keyring, good_file(tmp_path))

    assert await opened(tables, keyring) == {number: f"{nth:06d}" for nth, number in enumerate(numbers(5))}
    [batch] = await tables.rows("SELECT * FROM batches")
    assert (batch["batch_id"], batch["quantity"], batch["source"]) == (loaded.batch_id, 5, "import")
    imported, acted = await tables.rows("SELECT * FROM events ORDER BY event_type")
    assert imported["payload"] == {"batchId": str(loaded.batch_id), "count": 5, "source": "import"}
    assert acted["payload"]["who"] == "olga"
    async with tables.database.connection() as connection:
        [count] = await PoolRepository(connection).counts(datetime.now(UTC), timedelta(), 1)
    assert count.statuses == {"available": 5}
    assert await tables.rows("SELECT 1 FROM pool_import_rows") == []
    assert {row["last_four"] for row in await tables.rows("SELECT last_four FROM certificates")} == {
        number[-4:] for number in numbers(5)
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("4000000000000001,123456", "the check digit of the number is wrong"),
        (f"{numbers(1)[0]},999999", "line 2 has the number already"),
    ],
)
async def test_a_file_with_one_bad_row_is_refused_whole_by_its_line(
    tables: Tables, keyring: Keyring, tmp_path: Path, row: str, problem: str
) -> None:
    good = [f"{number},123456" for number in numbers(3)]
    with pytest.raises(FileRefusedError) as refused:
        await load(tables, keyring, written(tmp_path, [*good, "", row]))
    assert [(one.line, one.problem) for one in refused.value.faults] == [(6, problem)]
    await assert_nothing_is_left(tables)


async def test_all_bad_rows_are_named_in_order_and_no_secret_with_them(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    first, second = numbers(2)
    rows = [f"{first},123456", "1,1", f"{first},654321", f"{second},77", f"{first},123456"]
    with pytest.raises(FileRefusedError) as refused:
        await load(tables, keyring, written(tmp_path, rows))
    assert [one.line for one in refused.value.faults] == [3, 4, 5, 6]
    assert refused.value.total == 4
    said = " ".join(one.problem for one in refused.value.faults)
    assert not any(secret in said for secret in (first, second, "123456", "654321", "77"))


@pytest.mark.parametrize("content", ["", "number,cvc\n"])
async def test_a_file_without_certificates_is_refused(
    tables: Tables, keyring: Keyring, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "certificates.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FileRefusedError) as refused:
        await load(tables, keyring, PoolFile.open(path))
    assert [one.line for one in refused.value.faults] == [1]
    await assert_nothing_is_left(tables)


async def test_a_number_that_is_in_the_pool_is_refused_and_keeps_its_secret(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    await load(tables, keyring, good_file(tmp_path, 2))
    before = await tables.rows("SELECT * FROM certificate_secrets ORDER BY 1")
    rows = [f"{number},999999" for number in numbers(3)]
    with pytest.raises(FileRefusedError) as refused:
        await load(tables, keyring, written(tmp_path, rows))
    published = [(one.line, one.problem) for one in refused.value.faults]
    assert published == [(2, "the number is in the pool already"), (3, "the number is in the pool already")]
    assert await tables.rows("SELECT * FROM certificate_secrets ORDER BY 1") == before


@pytest.mark.parametrize(
    ("stage", "at", "kept"), [("checked", 2, 0), ("sealed", 2, 2), ("sealed", 4, 4), ("loaded", 2, 5)]
)
async def test_a_crash_loses_a_piece_at_most_and_sells_no_half_of_a_file(
    tables: Tables, keyring: Keyring, tmp_path: Path, stage: str, at: int, kept: int
) -> None:
    file = good_file(tmp_path)
    with pytest.raises(KeyboardInterrupt, match=CRASH):
        await load(tables, keyring, file, killed_when(stage, at))
    assert await tables.rows("SELECT 1 FROM certificates") == []
    rows = await tables.rows("SELECT certificate_id FROM pool_import_rows ORDER BY row_number")
    assert len(rows) == kept

    await load(tables, keyring, PoolFile.open(file.path))
    assert len(await opened(tables, keyring)) == 5
    loaded = {row["certificate_id"] for row in await tables.rows("SELECT certificate_id FROM certificates")}
    assert {row["certificate_id"] for row in rows} <= loaded


@pytest.mark.parametrize("stage", ["sealed", "loaded"])
async def test_what_a_key_sealed_that_was_rotated_meanwhile_is_sealed_anew(
    tables: Tables, keyring: Keyring, tmp_path: Path, stage: str
) -> None:
    file = good_file(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        await load(tables, keyring, file, killed_when(stage, 2))
    async with tables.database.transaction() as connection:
        keys = DataKeyRepository(connection, keyring)
        await keys.retire(datetime.now(UTC))
        await keys.destroy([one.key_id for one in await keys.all()], datetime.now(UTC))
    await load(tables, keyring, file)
    assert len(await opened(tables, keyring)) == 5


async def test_a_number_that_came_into_the_pool_meanwhile_refuses_the_file(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    file = good_file(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        await load(tables, keyring, file, killed_when("sealed", 5))
    (tmp_path / "other").mkdir()
    await load(tables, keyring, written(tmp_path / "other", [f"{numbers(4)[3]},999999"]))
    with pytest.raises(FileRefusedError) as refused:
        await load(tables, keyring, file)
    assert [(one.line, one.problem) for one in refused.value.faults] == [
        (5, "the number is in the pool already")
    ]
    assert await opened(tables, keyring) == {numbers(4)[3]: "999999"}
    assert await tables.rows("SELECT 1 FROM pool_import_rows") == []


async def test_a_file_that_changes_while_it_is_read_is_refused(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    file = good_file(tmp_path)

    def change(stage: str, done: int, _total: int) -> None:
        if stage.startswith("sealed") and done == 2:
            written(tmp_path, [f"{numbers(9)[8]},111111"])

    with pytest.raises(PoolFileError, match="changed meanwhile"):
        await load(tables, keyring, file, change)
    await assert_nothing_is_left(tables)


async def test_an_import_whose_product_changes_meanwhile_is_refused(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    file = good_file(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        await load(tables, keyring, file, killed_when("sealed", 2))
    with pytest.raises(PoolFileError, match="length of its numbers or CVCs"):
        await load(tables, keyring, file, product=replace(GIFT, cvc_length=4))
    await assert_nothing_is_left(tables)


async def test_a_file_that_is_in_the_pool_is_found_again_with_its_batch(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    first = await load(tables, keyring, good_file(tmp_path))
    again = await load(tables, keyring, good_file(tmp_path))
    assert (first.finished, again.finished, again.batch_id) == (False, True, first.batch_id)
    assert len(await tables.rows("SELECT 1 FROM certificates")) == 5
    await tables.run("UPDATE pool_imports SET started_at = started_at - interval '8 days'")
    other = written(tmp_path, [f"{number},123456" for number in numbers(6)[5:]])
    await load(tables, keyring, other)
    with pytest.raises(FileRefusedError):  # its numbers are known for ever, itself no longer
        await load(tables, keyring, good_file(tmp_path))


async def test_a_second_process_leaves_the_file_to_the_first(
    tables: Tables, keyring: Keyring, tmp_path: Path
) -> None:
    file = good_file(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        await load(tables, keyring, file, killed_when("sealed", 2))
    await tables.run("UPDATE pool_imports SET sealed = 4")  # by the other, just now
    [row] = await tables.rows("SELECT * FROM pool_imports")
    loader = PoolLoader(
        tables.database, keyring, GIFT, "olga", "Stream-0", lambda: datetime.now(UTC), lambda *_: None
    )
    begun = PoolImport(row["batch_id"], GIFT.id, row["key_id"], 5, sealed=2)
    with pytest.raises(ImportTakenOverError):
        await loader._seal(file, begun)
