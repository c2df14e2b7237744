"""Stored texts in which a number or a CVC could stand in clear, those left out that cannot hold one."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.verification.session import Session

FETCHED_AT_ONCE = 1_000

_LENGTHS = "SELECT DISTINCT number_length FROM products"
_KNOWN = "SELECT number_fingerprint FROM certificate_secrets WHERE number_fingerprint = ANY($1::bytea[])"
_SEALED = (
    "SELECT certificate_id::text, cvc_sealed FROM certificate_secrets WHERE certificate_id = ANY($1::uuid[])"
)
# A CVC is remembered as a text of its own, an amount as a number. Keys are kept as keyed hashes only.
_ANSWERS = """
    SELECT encode(caller_key, 'hex') AS place, '' AS about, answer::text AS said, answer::text AS answer
    FROM idempotency_keys WHERE answered_at > $1 AND (answer::text ~ $2 OR answer::text ~ '"[0-9]{3,8}"')
"""
_ANSWERS_COUNT = "SELECT count(*) FROM idempotency_keys WHERE answered_at > $1"
_QUARANTINE = """
    SELECT topic, partition, record_offset, record_key, record_value, reason || ' ' || detail FROM quarantine
    WHERE quarantined_at > $1 ORDER BY topic, partition, record_offset
"""
_STATES = """
    SELECT certificate_id::text, 'state' AS about, state::text AS said FROM certificates
    WHERE certificate_id = ANY($1::uuid[]) AND state::text ~ $2
"""
_LINES = """
    SELECT order_id, 'standing of line ' || line_key AS about, standing::text || coalesce(recipient::text, '') AS said
    FROM order_lines
    WHERE order_id = ANY($1) AND (standing::text ~ $2 OR recipient::text ~ $2)
"""


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text and where it stands: ``place`` and ``about`` name it without quoting it."""

    place: str
    about: str
    said: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A quarantined record, key and value as stored, and what is said about it in clear."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    said: str


class SecretPlaceRepository:
    """Reads texts and what they are compared with."""

    def __init__(self, session: Session, shortest: int) -> None:
        self._session = session
        self._digits = f"[0-9]{{{shortest}}}"

    async def answers(self, since: datetime) -> AsyncIterator[StoredText]:
        """Yield remembered answers that may hold a secret, within a snapshot."""
        rows = self._session.cursor(_ANSWERS, since, self._digits, prefetch=FETCHED_AT_ONCE)
        async for row in rows:
            yield StoredText(*row)

    async def count_answers(self, since: datetime) -> int:
        """Return how many answers are remembered."""
        return int(await self._session.fetchval(_ANSWERS_COUNT, since))

    async def quarantined(self, since: datetime) -> AsyncIterator[SealedRecord]:
        """Yield the records in quarantine, within a snapshot."""
        async for row in self._session.cursor(_QUARANTINE, since, prefetch=FETCHED_AT_ONCE):
            yield SealedRecord(*row)

    async def states(self, certificate_ids: Sequence[str]) -> list[StoredText]:
        """Return the stored states of these certificates that may hold a number."""
        return [StoredText(*row) for row in await self._session.fetch(_STATES, certificate_ids, self._digits)]

    async def lines(self, order_ids: Sequence[str]) -> list[StoredText]:
        """Return what is stored of the lines of these orders and may hold a number."""
        return [StoredText(*row) for row in await self._session.fetch(_LINES, order_ids, self._digits)]

    async def known(self, fingerprints: Sequence[bytes]) -> set[bytes]:
        """Return those that are of numbers of ours."""
        return {row[0] for row in await self._session.fetch(_KNOWN, fingerprints)}

    async def sealed_cvcs(self, certificate_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the sealed CVCs of certificates."""
        return {row[0]: row[1] for row in await self._session.fetch(_SEALED, certificate_ids)}


async def number_lengths(session: Session) -> tuple[int, ...]:
    """Return how long numbers of our products are."""
    return tuple(row[0] for row in await session.fetch(_LENGTHS))
