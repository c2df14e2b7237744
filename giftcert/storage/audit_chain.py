"""Hash chain over the recorded events, which are the audit trail: each link seals some events and the link before it.

Events are recorded by many transactions at once, so they are linked afterwards, by maintenance (ADR 77). Seals are
keyed hashes by the keyring: who can write every table still cannot make one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from asyncpg import Record

from giftcert.contracts.stream import StoredEvent
from giftcert.security.keyring import Keyring
from giftcert.storage.database import Connection
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.repository import Repository, of_row

MAC_BYTES = 16
_FIELDS = tuple(sorted(StoredEvent.__dataclass_fields__))
# One at a time, as each link seals the one before.
_ENTER = "SELECT pg_try_advisory_xact_lock(7310593)"
_TAKE = f"""
    WITH taken AS (
        DELETE FROM unlinked_events WHERE ctid = ANY(ARRAY(SELECT ctid FROM unlinked_events LIMIT $1))
        RETURNING event_id
    )
    SELECT {EVENT} FROM events AS e WHERE event_id IN (SELECT event_id FROM taken) ORDER BY event_id
"""  # noqa: S608 - made of constants
_LAST = "SELECT number, seal FROM audit_links ORDER BY number DESC LIMIT 1"
_ADD = """
    INSERT INTO audit_links (number, linked_at, event_ids, event_macs, seal) VALUES ($1, $2, $3::uuid[], $4, $5)
"""
_LINKS = """
    SELECT number, linked_at, event_ids::text[] AS event_ids, event_macs, seal FROM audit_links
    WHERE number > $1 ORDER BY number LIMIT $2
"""
BEGINNING = b""
"""What stands for the seal before the first link."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the chain: events in the order in which they were linked, with a keyed hash of each."""

    number: int
    linked_at: datetime
    event_ids: Sequence[str]
    event_macs: Sequence[bytes]
    seal: bytes


def event_mac(keyring: Keyring, event: StoredEvent) -> bytes:
    """Return the keyed hash of all that an event says.

    What is null leaves no trace in it: a field that is added later changes no hash of earlier events.
    """
    said = {name: value for name in _FIELDS if (value := getattr(event, name)) is not None}
    return keyring.fingerprint(f"audit event {msgspec.json.encode(said).decode()}")[:MAC_BYTES]


def seal_of(keyring: Keyring, link: Link, before: bytes) -> bytes:
    """Return the seal that a link must bear, given the seal of the link before."""
    said = (link.number, link.linked_at, link.event_ids, [one.hex() for one in link.event_macs], before.hex())
    return keyring.fingerprint(f"audit link {msgspec.json.encode(said).decode()}")


class AuditChainRepository(Repository):
    """Appends to the chain and reads it."""

    def __init__(self, connection: Connection, keyring: Keyring) -> None:
        super().__init__(connection)
        self._keyring = keyring

    async def link_next(self, limit: int, now: datetime) -> Link | None:
        """Link so many events that no link has yet; return ``None`` if there are none, or another process links."""
        if not await self._fetchval(_ENTER):
            return None
        events = [stored_event(row) for row in await self._fetch(_TAKE, limit)]
        if not events:
            return None
        number, before = await self._fetchrow(_LAST) or (0, BEGINNING)
        ids, macs = [one.event_id for one in events], [event_mac(self._keyring, one) for one in events]
        link = Link(number + 1, now, ids, macs, b"")
        seal = seal_of(self._keyring, link, before)
        await self._execute(_ADD, link.number, now, ids, macs, seal)
        return Link(link.number, now, ids, macs, seal)


def link_of(row: Record) -> Link:
    """Return the link of a row of ``audit_links``."""
    return of_row(Link, row)


async def may_change_events(connection: Connection) -> bool:
    """Return whether our user could change what the chain guards; raises where there are no tables."""
    return bool(await connection.fetchval("SELECT has_table_privilege('events', 'UPDATE')"))


async def links_after(connection: Connection, number: int, limit: int) -> list[Link]:
    """Return the links behind one, in order."""
    return [link_of(row) for row in await connection.fetch(_LINKS, number, limit)]
