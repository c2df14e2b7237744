"""Files of the archive: the events of a month as Parquet, and beside it a manifest that the keyring seals."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from giftcert.contracts.stream import StoredEvent
from giftcert.security.keyring import Keyring

READ_AT_ONCE = 2_000
_TIMES = ("occurred_at", "recorded_at")
_NUMBERS = {"sequence": "INTEGER", "nominal": "BIGINT", "balance": "BIGINT", "held": "BIGINT"}
FIELDS = tuple(StoredEvent.__dataclass_fields__)
_COLUMNS = ", ".join(
    f"{name} {'TIMESTAMPTZ' if name in _TIMES else _NUMBERS.get(name, 'VARCHAR')}" for name in FIELDS
)
_PLACES = ", ".join(
    f"make_timestamptz(unnest(${nth}))" if name in _TIMES else f"unnest(${nth})"
    for nth, name in enumerate(FIELDS, 1)
)
_READ = ", ".join(f"epoch_us({name})" if name in _TIMES else name for name in FIELDS)
_IN_ORDER = "SELECT * FROM events ORDER BY event_id"
_FROM_FILE = f"SELECT {_READ} FROM read_parquet($1) ORDER BY event_id"  # noqa: S608 - made of constants
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"events-(\d{4})-(\d{2})\.parquet")


class ArchiveError(Exception):
    """A file of the archive cannot be used; the message is one line and says what to do."""


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """What a file of the archive is; ``seal`` is a keyed hash of all the rest."""

    month: str
    events: int
    sha256: str
    made_at: datetime
    seal: str = ""

    def sealed(self, keyring: Keyring) -> "Manifest":
        """Return it with its seal."""
        said = msgspec.json.encode(msgspec.structs.replace(self, seal=""))
        return msgspec.structs.replace(self, seal=keyring.fingerprint(f"archive {said.decode()}").hex())


class Month:
    """A month of the archive in a folder: ``events-2026-01.parquet`` and its manifest."""

    def __init__(self, folder: Path, first: date) -> None:
        self.first = first
        self.path = folder / f"events-{first:%Y-%m}.parquet"
        self.manifest_path = self.path.with_suffix(".json")

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def begins(self) -> datetime:
        """The first instant of it."""
        return datetime(self.first.year, self.first.month, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first instant of the next."""
        return (self.begins + timedelta(days=32)).replace(day=1)

    async def write(
        self, events: AsyncIterator[Sequence[StoredEvent]], keyring: Keyring, now: datetime
    ) -> Manifest:
        """Write the file and its manifest; a file that is there serves until the new one is complete."""
        beside = self.path.with_name(f".{self.path.name}")
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE events ({_COLUMNS})")
            written = 0
            async for batch in events:
                written += _insert(connection, batch)
            target = str(beside).replace("'", "''")
            connection.execute(f"COPY ({_IN_ORDER}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
        manifest = Manifest(str(self), written, _digest(beside), now).sealed(keyring)
        beside.replace(self.path)
        self.manifest_path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        return manifest

    def manifest(self, keyring: Keyring) -> Manifest:
        """Return the manifest of a file that is as it was written.

        Raises:
            ArchiveError: file or manifest is missing or another.
        """
        try:
            manifest = msgspec.json.decode(self.manifest_path.read_bytes(), type=Manifest)
            digest = _digest(self.path)
        except (OSError, msgspec.MsgspecError):
            raise ArchiveError(
                f"{self.path}: the file or its manifest is missing or cannot be read"
            ) from None
        if manifest != manifest.sealed(keyring) or manifest.month != str(self):
            raise ArchiveError(f"{self.manifest_path} was not written by this service, or was changed since")
        if digest != manifest.sha256:
            raise ArchiveError(f"{self.path} is not the file that was written: it was changed or is cut off")
        return manifest

    def events(self) -> Iterator[list[StoredEvent]]:
        """Yield the events of the file in the order of their ids."""
        with duckdb.connect() as connection:
            found = connection.execute(_FROM_FILE, [str(self.path)])
            while rows := found.fetchmany(READ_AT_ONCE):
                yield [_event(row) for row in rows]


def months_in(folder: Path) -> list[Month]:
    """Return the months that a folder holds, in order."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("events-*.parquet"))
    return sorted(
        (Month(folder, date(int(name[1]), int(name[2]), 1)) for name in names if name),
        key=lambda one: one.first,
    )


def _insert(connection: duckdb.DuckDBPyConnection, events: Sequence[StoredEvent]) -> int:
    columns = [[_stored(name, getattr(one, name)) for one in events] for name in FIELDS]
    connection.execute(f"INSERT INTO events SELECT {_PLACES}", columns)
    return len(events)


def _stored(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    return (value - _EPOCH) // timedelta(microseconds=1) if name in _TIMES else value


def _event(row: Sequence[Any]) -> StoredEvent:
    said = dict(zip(FIELDS, row, strict=True))
    return StoredEvent(**said | {name: _EPOCH + timedelta(microseconds=said[name]) for name in _TIMES})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
