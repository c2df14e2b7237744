"""What is stored of one client, table by table, and its erasure. Originals take the owner of the tables (ADR 78)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from giftcert.storage.quarantine import Place
from giftcert.storage.repository import Repository

# The client, all who were merged into it, and so on; UNION ends a ring of merges.
_MERGED = """
    WITH RECURSIVE merged (client_id) AS (
        SELECT $1::text UNION SELECT c.client_id FROM clients AS c JOIN merged ON c.merged_into = merged.client_id
    )
    SELECT client_id, c.merged_into FROM merged LEFT JOIN clients AS c USING (client_id) ORDER BY client_id
"""
_ORDERS = "SELECT order_id FROM orders WHERE customer_id = ANY($1) ORDER BY order_id"
_CERTIFICATES = """
    SELECT DISTINCT named::text FROM order_lines, unnest(named_certificates) AS named WHERE order_id = ANY($1)
"""
_SETTINGS = """
    SELECT count(*) FROM clients
    WHERE client_id = ANY($1) AND (locale IS NOT NULL OR preferred_channel IS NOT NULL)
"""
_RECIPIENTS = "SELECT count(*) FROM order_lines WHERE order_id = ANY($1) AND recipient IS NOT NULL"
_ORIGINALS = "SELECT count(*) FROM inbox WHERE order_id = ANY($1) AND original <> ''"
# That something was received, and what, stays on record: the causes of events are looked for there.
_ERASE_ORIGINALS = "UPDATE inbox SET original = '' WHERE order_id = ANY($1) AND original <> ''"
_EVENTS = "SELECT count(*) FROM events WHERE certificate_id = ANY($1::uuid[])"
_ANSWERS = """
    SELECT count(*) FROM idempotency_keys WHERE EXISTS (
        SELECT FROM jsonb_path_query(answer, 'strict $.**.certificateId') AS id WHERE id #>> '{}' = ANY($1))
"""
_QUARANTINE = """
    SELECT quarantine_id, topic, partition, record_offset, record_key, record_value, closed_at IS NULL AS is_open
    FROM quarantine
    WHERE quarantine_id > $1 AND (record_key IS NOT NULL OR record_value IS NOT NULL) ORDER BY quarantine_id LIMIT $2
"""
_EMPTY_CLOSED = """
    UPDATE quarantine SET record_key = NULL, record_value = NULL
    WHERE quarantine_id = ANY($1) AND closed_at IS NOT NULL
"""
PAGE = 200


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A quarantined record as it lies sealed."""

    quarantine_id: int
    topic: str
    partition: int
    offset: int
    sealed_key: bytes | None
    sealed_value: bytes | None
    is_open: bool

    @property
    def place(self) -> Place:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Subject:
    """A client with those who were merged into it, their orders, and the certificates that these ever named.

    ``merged_into`` is the survivor of each client, if it is merged.
    """

    merged_into: Mapping[str, str | None]
    orders: Sequence[str]
    certificates: Sequence[str]

    @property
    def clients(self) -> list[str]:
        """The ids of the client and of those who were merged into it."""
        return list(self.merged_into)


class PersonalDataRepository(Repository):
    """Counts and erases what is stored of a client."""

    async def subject(self, client_id: str) -> Subject:
        """Return whose data, of which orders and certificates, is meant by a client."""
        merged_into = {row[0]: row[1] for row in await self._fetch(_MERGED, client_id)}
        orders = [row[0] for row in await self._fetch(_ORDERS, list(merged_into))]
        return Subject(merged_into, orders, [row[0] for row in await self._fetch(_CERTIFICATES, orders)])

    async def settings(self, of: Subject) -> int:
        """Return of how many clients language or channel are known."""
        return int(await self._fetchval(_SETTINGS, of.clients))

    async def recipients(self, of: Subject) -> int:
        """Return how many order lines say whom their certificate is for."""
        return int(await self._fetchval(_RECIPIENTS, of.orders))

    async def originals(self, of: Subject) -> int:
        """Return how many messages are kept as they were received."""
        return int(await self._fetchval(_ORIGINALS, of.orders))

    async def erase_originals(self, of: Subject) -> int:
        """Erase the messages as they were received, as the owner of the tables; return how many."""
        return await self._execute(_ERASE_ORIGINALS, of.orders)

    async def events(self, of: Subject) -> int:
        """Return how many events are about the certificates."""
        return int(await self._fetchval(_EVENTS, of.certificates))

    async def answers(self, of: Subject) -> int:
        """Return how many remembered answers name the certificates; reads the whole table."""
        return int(await self._fetchval(_ANSWERS, of.certificates))

    async def quarantined(self, after: int) -> list[SealedRecord]:
        """Return the next records whose content is kept, from behind an id."""
        return [SealedRecord(*row) for row in await self._fetch(_QUARANTINE, after, PAGE)]

    async def empty_closed(self, quarantine_ids: Sequence[int]) -> int:
        """Erase the content of those of the records that are closed; return how many."""
        return await self._execute(_EMPTY_CLOSED, quarantine_ids)
