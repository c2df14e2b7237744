"""What the stream told and which workflows are open, in the temporary tables of a session."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from giftcert.storage.verification.session import Session

ToldRow: TypeAlias = tuple[str | None, int | None, str, bytes]
"""Certificate id, sequence, event id and digest of one record of the stream, as COPY takes them."""

_TOLD_COLUMNS = ("certificate_id", "sequence", "event_id", "digest")
_INDEX = """
    CREATE INDEX ON told_events (certificate_id, sequence);
    CREATE INDEX ON told_events (event_id) WHERE certificate_id IS NULL;
    ANALYZE told_events;
    CREATE INDEX ON open_runs (certificate_id);
    ANALYZE open_runs;
"""
_TOLD_OF = """
    SELECT certificate_id::text, sequence, event_id::text, digest, count(*) AS copies FROM told_events
    WHERE certificate_id = ANY($1::uuid[]) GROUP BY 1, 2, 3, 4 ORDER BY certificate_id, sequence
"""
_TOLD_BESIDE = """
    SELECT event_id::text, digest, count(*) AS copies FROM told_events
    WHERE certificate_id IS NULL AND event_id = ANY($1::uuid[]) GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the stream told under one sequence number of a certificate, repeats of the same content counted once."""

    sequence: int | None
    event_id: str
    digest: bytes


class ToldRepository:
    """Writes and reads the temporary tables."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, rows: Sequence[ToldRow]) -> None:
        """Take in records of the stream."""
        await self._session.copy_records_to_table("told_events", records=rows, columns=_TOLD_COLUMNS)

    async def add_open_runs(self, certificate_ids: Iterable[str]) -> None:
        """Take in certificates whose workflow is open."""
        await self._session.copy_records_to_table("open_runs", records=[(one,) for one in certificate_ids])

    async def complete(self) -> None:
        """Say that all is taken in and will be asked for."""
        await self._session.execute(_INDEX)

    async def of_certificates(self, certificate_ids: Sequence[str]) -> dict[str, list[Told]]:
        """Return what the stream told of these certificates, in sequence."""
        told: dict[str, list[Told]] = {}
        for certificate_id, sequence, event_id, digest, _ in await self._session.fetch(
            _TOLD_OF, certificate_ids
        ):
            told.setdefault(certificate_id, []).append(Told(sequence, event_id, digest))
        return told

    async def beside(self, event_ids: Sequence[str]) -> dict[str, list[bytes]]:
        """Return the digests of what the stream told under these event ids about no certificate."""
        told: dict[str, list[bytes]] = {}
        for event_id, digest, _ in await self._session.fetch(_TOLD_BESIDE, event_ids):
            told.setdefault(event_id, []).append(digest)
        return told
