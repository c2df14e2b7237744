"""Parquet by day: each message once, a closed day for ever the same."""

from datetime import timedelta
from pathlib import Path

import duckdb

from giftcert.bi.parquet_export import export
from tests.unit.bi.bi_records import NOON, Filled, order, payment

DAY = timedelta(days=1)


def test_each_day_has_its_file_and_a_closed_one_says_so(filled: Filled, tmp_path: Path) -> None:
    filled.stream.issued()
    filled.stream.issued(NOON + DAY, certificate=2)
    filled.orders.write(order())
    filled.payments.write(payment())
    filled.load(NOON + DAY)

    assert export(filled.warehouse, tmp_path / "it's") == 6
    made = sorted(str(path.relative_to(tmp_path / "it's")) for path in (tmp_path / "it's").rglob("*.*"))
    assert "stream/day=2026-11-23/stream.parquet" in made
    assert [path.parent.name for path in (tmp_path / "it's").rglob("stream/**/_SUCCESS")] == [
        "day=2026-11-23"
    ]


def test_only_days_that_changed_are_written_again(filled: Filled, tmp_path: Path) -> None:
    filled.stream.issued()
    filled.load()
    assert export(filled.warehouse, tmp_path) == 2
    assert export(filled.warehouse, tmp_path) == 0
    filled.stream.issued(NOON + DAY, certificate=2)
    filled.load(NOON + DAY)

    assert export(filled.warehouse, tmp_path) == 2


def test_what_is_read_from_the_files_is_what_is_in_the_database(filled: Filled, tmp_path: Path) -> None:
    for certificate in range(20):
        filled.stream.issued(NOON + certificate % 3 * DAY, certificate=certificate)
    filled.stream.values *= 2
    filled.load()
    export(filled.warehouse, tmp_path)

    sums = "SELECT CAST(day AS VARCHAR), count(*), sum(sold) FROM {} GROUP BY day ORDER BY 1"
    parquet = f"read_parquet('{tmp_path}/money/*/*.parquet', hive_partitioning = true)"
    assert duckdb.connect().execute(sums.format(parquet)).fetchall() == filled.query(sums.format("money"))
