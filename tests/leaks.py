"""Looks for secrets in whatever a run leaves behind: numbers and CVCs, plain or as they are usually encoded.

No search of the service has a part in it. It finds digits first, which is quick, and asks then whether
they are a secret.
"""

import base64
import binascii
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

from giftcert.storage.database import Database

# Digits with a blank or a hyphen between them at most; as hexadecimal; percent-encoded; as JSON may escape them.
_PLAIN = re.compile(rb"[0-9](?:[ -]?[0-9]){7,}")
_HEX = re.compile(rb"(?:3[0-9]){8,}")
_ESCAPED = re.compile(rb"(?:(?:%|\\u00|\\x)3[0-9]){8,}")
_DIGIT = re.compile(rb"3([0-9])")
# In base64 every fourth character of digits is M, N or O; the first of them may share four characters with others.
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{0,4}(?:[MNO][A-Za-z0-9+/_-]{3}){2,}[A-Za-z0-9+/_-]{0,3}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
CHUNK, OVERLAP = 8 << 20, 256


class Secrets:
    """The secrets that must stand nowhere: numbers of 16 digits and CVCs of 8."""

    def __init__(self, numbers: Iterable[str], cvcs: Iterable[str]) -> None:
        self._numbers = {one.encode() for one in numbers}
        self._cvcs = {one.encode() for one in cvcs}

    def in_bytes(self, data: bytes) -> set[str]:
        """Return how secrets stand in these bytes; nothing says which they are."""
        found = {"plain" for run in _PLAIN.findall(data) if self._is_secret(run)}
        found |= {"hex" for run in _HEX.findall(data) if self._is_secret(binascii.unhexlify(run))}
        found |= {
            "escaped" for run in _ESCAPED.findall(data) if self._is_secret(b"".join(_DIGIT.findall(run)))
        }
        return found | {"base64" for run in _BASE64.findall(data) if self._is_in_base64(run)}

    def in_file(self, path: Path) -> set[str]:
        """Return how secrets stand in a file, in pieces that overlap."""
        found, rest = set[str](), b""
        for piece in _written(path):
            found |= self.in_bytes(rest + piece)
            rest = piece[-OVERLAP:]
        return found

    def _is_secret(self, run: bytes) -> bool:
        """Numbers stand anywhere in a run; a CVC is a run of its own, or follows a number."""
        digits = re.sub(rb"[ -]", b"", run)
        words = re.split(rb"[ -]", run)
        anywhere = (digits[at : at + 16] for at in range(len(digits) - 15))
        return not self._numbers.isdisjoint(anywhere) or not self._cvcs.isdisjoint(words)

    def _is_in_base64(self, run: bytes) -> bool:
        for start in range(5):
            text = run[start:].translate(_URL_SAFE)
            try:
                decoded = base64.b64decode(text + b"=" * (-len(text) % 4))
            except binascii.Error:  # one character alone is left
                decoded = base64.b64decode(text[: len(text) // 4 * 4])
            if any(self._is_secret(digits) for digits in re.findall(rb"[0-9]{8,}", decoded)):
                return True
        return False


def _written(path: Path) -> Iterator[bytes]:
    """Yield what a file holds, without the holes that Kafka leaves: of its state they are nine tenths."""
    with path.open("rb") as file:
        at, end = 0, file.seek(0, os.SEEK_END)
        while at < end:
            try:
                at = file.seek(at, os.SEEK_DATA)
            except OSError:  # nothing but a hole up to the end
                return
            hole = file.seek(at, os.SEEK_HOLE)
            file.seek(at)
            while at < hole and (piece := file.read(min(CHUNK, hole - at))):
                at += len(piece)
                yield piece
            at = max(at, hole)


async def texts_of_every_table(database: Database) -> AsyncIterator[bytes]:
    """Yield every row of every table; bytes in hexadecimal, as PostgreSQL writes them, and as they are."""
    async with database.connection() as connection:
        tables = await connection.fetch("""
            SELECT c.oid::regclass::text AS name, array_agg(a.attname) FILTER (WHERE a.atttypid = 'bytea'::regtype)
                AS bytes
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'm') AND c.relnamespace NOT IN ('pg_catalog'::regnamespace,
                'information_schema'::regnamespace, 'pg_toast'::regnamespace)
            GROUP BY c.oid
        """)
        for name, columns in tables:
            for row in await connection.fetch(f"SELECT t.*, t::text AS whole FROM {name} AS t"):  # noqa: S608
                yield b"\n".join([row["whole"].encode(), *(row[one] for one in columns or () if row[one])])


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files of a folder."""
    yield from (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
