"""Rows of a file of certificates: each is good, or its line says what is wrong and not what stands there."""

from pathlib import Path

import pytest

from giftcert.domain.numbers import number_from_digits
from giftcert.domain.products import Product
from giftcert.pool_file import PoolFile, PoolFileError, PoolRow, RowFault

GIFT = Product("GC-5000", "RUB", nominal=500_000)
NUMBER = number_from_digits("400000000000000")
DIGITS_ONLY = "the {} must be digits only"
LENGTH = "the {} must have {} digits as of every GC-5000; it has {}"


def written(folder: Path, content: str | bytes) -> PoolFile:
    path = folder / "certificates.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return PoolFile.open(path)


def rows_of(folder: Path, content: str | bytes) -> list[PoolRow | RowFault]:
    return list(written(folder, content).rows(GIFT))


def test_rows_are_read_with_their_lines_and_blank_lines_left_out(tmp_path: Path) -> None:
    content = f"number,cvc\r\n\r\n{NUMBER},012345\r\n"
    assert rows_of(tmp_path, content) == [PoolRow(3, NUMBER, "012345")]


def test_columns_may_come_in_either_order_and_behind_a_byte_order_mark(tmp_path: Path) -> None:
    assert rows_of(tmp_path, f"\ufeffCVC, Number\n012345,{NUMBER}") == [PoolRow(2, NUMBER, "012345")]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (f"{NUMBER[:-1]}{(int(NUMBER[-1]) + 1) % 10},012345", "the check digit of the number is wrong"),
        (f"{NUMBER[1:]},012345", LENGTH.format("number", 16, 15)),
        (f"{NUMBER},12345", LENGTH.format("CVC", 6, 5)),
        (f"{NUMBER},1234567", LENGTH.format("CVC", 6, 7)),
        (f"{NUMBER},", DIGITS_ONLY.format("CVC")),
        (f"{NUMBER}, 12345", DIGITS_ONLY.format("CVC")),
        (f"{NUMBER},-12345", DIGITS_ONLY.format("CVC")),
        (f"{NUMBER[:-1]}O,012345", DIGITS_ONLY.format("number")),
        ("٤٠٠٠٠٠٠٠٠٠٠٠٠٠٠٢,012345", DIGITS_ONLY.format("number")),
        (f"{NUMBER}", "the row must have 2 values; it has 1"),
        (f"{NUMBER},012345,Anna", "the row must have 2 values; it has 3"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_without_its_values(tmp_path: Path, row: str, problem: str) -> None:
    good = f"number,cvc\n{NUMBER},012345\n"
    assert rows_of(tmp_path, f"{good}{row}\n")[1:] == [RowFault(3, problem)]


@pytest.mark.parametrize(
    "content", ["", "number;cvc\n", "number,cvc,name\n", "4000,1\n", "number\n", "number,number\n"]
)
def test_a_file_without_its_columns_is_at_fault_in_its_first_line(tmp_path: Path, content: str) -> None:
    assert rows_of(tmp_path, content) == [RowFault(1, "the first line must name the columns: number,cvc")]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"number,cvc\n\xff,1\n", "not UTF-8"), (b'number,cvc\n"1', "line 2: it is not CSV")],
)
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(PoolFileError, match=said):
        rows_of(tmp_path, content)


def test_a_file_that_changed_is_another(tmp_path: Path) -> None:
    before = written(tmp_path, f"number,cvc\n{NUMBER},012345\n")
    assert PoolFile.open(before.path) == before
    assert written(tmp_path, f"number,cvc\n{NUMBER},012346\n") != before


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PoolFileError, match=r"absent\.csv cannot be read: No such file"):
        PoolFile.open(tmp_path / "absent.csv")
