"""What the stream holds and which workflows are open, in the temporary tables of a session."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from giftcert.storage.verification.session import QUERY_SECONDS, Session

StreamRow: TypeAlias = tuple[str | None, int | None, str, bytes]
"""Certificate id, sequence, event id and digest of one record of the stream, as COPY takes them."""

_COLUMNS = ("certificate_id", "sequence", "event_id", "digest")
_INDEX = """
    CREATE INDEX ON stream_events (certificate_id, sequence);
    CREATE INDEX ON stream_events (event_id) WHERE certificate_id IS NULL;
    ANALYZE stream_events;
    CREATE INDEX ON open_runs (certificate_id);
    ANALYZE open_runs;
"""
_OF_CERTIFICATES = """
    SELECT certificate_id::text, sequence, event_id::text, digest FROM stream_events
    WHERE certificate_id = ANY($1::uuid[]) GROUP BY 1, 2, 3, 4, stream_events.certificate_id
    ORDER BY stream_events.certificate_id, sequence
"""
_KEYED = """
    SELECT DISTINCT event_id::text, digest FROM stream_events
    WHERE certificate_id IS NULL AND event_id = ANY($1::uuid[])
"""


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What stands on the stream under one sequence number of a certificate; repeats of one content count once."""

    sequence: int | None
    event_id: str
    digest: bytes


class PublishedRepository:
    """Writes and reads the temporary tables."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, rows: Sequence[StreamRow]) -> None:
        """Take in records of the stream."""
        await self._session.copy_records_to_table("stream_events", records=rows, columns=_COLUMNS)

    async def add_open_runs(self, certificate_ids: Iterable[str]) -> None:
        """Take in certificates whose workflow is open."""
        await self._session.copy_records_to_table("open_runs", records=[(one,) for one in certificate_ids])

    async def complete(self) -> None:
        """Say that all is taken in and will be asked for."""
        await self._session.execute(_INDEX, timeout=QUERY_SECONDS)

    async def of_certificates(self, certificate_ids: Sequence[str]) -> dict[str, list[StreamRecord]]:
        """Return what the stream holds of these certificates, in sequence."""
        found: dict[str, list[StreamRecord]] = {}
        for row in await self._session.fetch(_OF_CERTIFICATES, certificate_ids):
            found.setdefault(row[0], []).append(StreamRecord(row[1], row[2], row[3]))
        return found

    async def keyed(self, event_ids: Sequence[str]) -> dict[str, list[bytes]]:
        """Return the digests of what the stream holds under these ids of events about no certificate."""
        found: dict[str, list[bytes]] = {}
        for event_id, digest in await self._session.fetch(_KEYED, event_ids):
            found.setdefault(event_id, []).append(digest)
        return found
