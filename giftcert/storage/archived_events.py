"""Events as the archive reads them: month by month, and by their ids."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from giftcert.contracts.stream import StoredEvent
from giftcert.domain.identifiers import uuid7
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.product_snapshots import ID_SKEW
from giftcert.storage.repository import Repository

PAGE = 5_000
# Ids are made at about the time of recording, so their order finds a month without an index by time.
_RECORDED = f"""
    SELECT {EVENT} FROM events AS e
    WHERE event_id > $1 AND event_id < $2 AND recorded_at >= $3 AND recorded_at < $4 ORDER BY event_id LIMIT $5
"""  # noqa: S608 - made of constants
_EVENTS = f"SELECT {EVENT} FROM events AS e WHERE event_id = ANY($1::uuid[])"  # noqa: S608 - made of constants
_UNLINKED = """
    SELECT EXISTS (SELECT FROM unlinked_events JOIN events AS e USING (event_id) WHERE e.recorded_at < $1)
"""
_FIRST = "SELECT recorded_at FROM events ORDER BY event_id LIMIT 1"


class ArchivedEventRepository(Repository):
    """Reads what is archived, or is to be."""

    async def first_recorded(self) -> datetime | None:
        """Return about when the first event was recorded."""
        first: datetime | None = await self._fetchval(_FIRST)
        return first

    async def wait_for_the_chain(self, before: datetime) -> bool:
        """Return whether events from before an instant are not linked into the audit chain yet."""
        return bool(await self._fetchval(_UNLINKED, before))

    async def recorded(self, begins: datetime, ends: datetime) -> AsyncIterator[list[StoredEvent]]:
        """Yield the events recorded within a time, in the order of their ids."""
        after, last = str(uuid7(begins - ID_SKEW, 0)), str(uuid7(ends + ID_SKEW, 0))
        while rows := await self._fetch(_RECORDED, after, last, begins, ends, PAGE):
            yield (page := [stored_event(row) for row in rows])
            after = page[-1].event_id

    async def events(self, event_ids: Sequence[str]) -> list[StoredEvent]:
        """Return those of the events that there are."""
        return [stored_event(row) for row in await self._fetch(_EVENTS, event_ids)]
