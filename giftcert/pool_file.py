"""A file of certificates to import: CSV with the columns ``number`` and ``cvc``, read row by row.

What is wrong is said with the line and without the value: it may be a secret.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from stdnum import luhn

from giftcert.domain.products import Product

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("number", "cvc")
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_PIECE = 1 << 20


class PoolFileError(Exception):
    """The file cannot be read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A certificate of the file; ``line`` is that of the file on which its row ends."""

    line: int
    number: str
    cvc: str


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a row."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A file as it was when it was opened: ``digest`` is of all its bytes, ``lines`` how many it has."""

    path: Path
    digest: str
    lines: int

    @classmethod
    def open(cls, path: Path) -> "PoolFile":
        """Read the file once through; raises ``PoolFileError``."""
        digest, lines = sha256(), 0
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    lines += piece.count(b"\n")
        except OSError as error:
            raise PoolFileError(f"{path} cannot be read: {error.strerror}") from error
        return cls(path, digest.hexdigest(), lines)

    def rows(self, product: Product) -> Iterator[PoolRow | RowFault]:
        """Yield each row, or what is wrong with it for this product; blank lines are left out."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                yield from _rows(reader, product)
        except UnicodeDecodeError:
            raise PoolFileError(f"{self.path} is not UTF-8") from None
        except csv.Error as error:
            raise PoolFileError(f"{self.path}, line {reader.line_num}: it is not CSV: {error}") from None


def _rows(reader: "Reader", product: Product) -> Iterator[PoolRow | RowFault]:
    columns = [name.strip().lower() for name in next(reader, [])]
    if sorted(columns) != sorted(COLUMNS):
        yield RowFault(1, f"the first line must name the columns: {','.join(COLUMNS)}")
        return
    number_at, cvc_at = map(columns.index, COLUMNS)
    for row in reader:
        if not row:
            continue
        if len(row) != len(COLUMNS):
            yield RowFault(reader.line_num, f"the row must have {len(COLUMNS)} values; it has {len(row)}")
            continue
        number, cvc = row[number_at], row[cvc_at]
        problem = _problem(number, cvc, product)
        yield PoolRow(reader.line_num, number, cvc) if problem is None else RowFault(reader.line_num, problem)


def _problem(number: str, cvc: str, product: Product) -> str | None:
    for name, value, length in (("number", number, product.number_length), ("CVC", cvc, product.cvc_length)):
        if _DIGITS.fullmatch(value) is None:
            return f"the {name} must be digits only"
        if len(value) != length:
            return f"the {name} must have {length} digits as of every {product.id}; it has {len(value)}"
    return None if luhn.is_valid(number) else "the check digit of the number is wrong"
