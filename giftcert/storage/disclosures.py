"""Disclosures of CVCs as they are counted: for the limits of callers and certificates, and for what is unusual."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.contracts.notices import DisclosureUnusual, about_input
from giftcert.domain.rate_limits import Counted
from giftcert.storage.events import EventRepository
from giftcert.storage.repository import Repository

_OF_CALLER = """
    SELECT count(*), min(disclosed_at) FROM disclosures WHERE disclosed_to = $1 AND disclosed_at > $2
"""
_OF_CERTIFICATE = """
    SELECT count(*), min(occurred_at) FROM events
    WHERE certificate_id = $1 AND event_type IN ('audit.cvcDisclosed', 'audit.cvcRefused') AND occurred_at > $2
"""
# From the last hour on that was counted, which may not have been over.
_COUNT_HOURS = """
    INSERT INTO disclosure_hours AS h (disclosed_to, hour, disclosed)
    SELECT disclosed_to, date_trunc('hour', disclosed_at, 'UTC'), count(*) FROM disclosures
    WHERE disclosed_at >= coalesce((SELECT max(hour) FROM disclosure_hours WHERE disclosed > 0), '-infinity')
    GROUP BY 1, 2
    ON CONFLICT (disclosed_to, hour) DO UPDATE SET disclosed = excluded.disclosed
        WHERE h.disclosed <> excluded.disclosed
"""
_FORGET_HOURS = "DELETE FROM disclosure_hours WHERE hour < $1::timestamptz - interval '8 days'"
# The hour before counts too: its last disclosures may have come after the last look.
_LAST_HOURS = """
    SELECT h.disclosed_to, h.hour, h.disclosed, coalesce(max(before.disclosed), 0)::integer AS busiest
    FROM disclosure_hours AS h LEFT JOIN disclosure_hours AS before
        ON before.disclosed_to = h.disclosed_to AND before.hour < h.hour AND before.hour >= h.hour - interval '7 days'
    WHERE h.hour > $1::timestamptz - interval '2 hours' AND h.disclosed > $2 AND NOT h.reported
    GROUP BY h.disclosed_to, h.hour ORDER BY h.hour
"""
_REPORT = """
    INSERT INTO disclosure_hours AS h (disclosed_to, hour, reported)
    VALUES ($1, date_trunc('hour', $2::timestamptz, 'UTC'), true)
    ON CONFLICT (disclosed_to, hour) DO UPDATE SET reported = true WHERE NOT h.reported
"""


@dataclass(frozen=True, slots=True)
class BusyHour:
    """An hour in which a caller got many CVCs, and how many it got in its busiest hour of the seven days before."""

    disclosed_to: str
    hour: datetime
    disclosed: int
    busiest: int


class DisclosureRepository(Repository):
    """Counts disclosures, and reports what is unusual once for each hour of a caller."""

    async def of_caller(self, caller: str, since: datetime) -> Counted:
        """Return how many CVCs a caller got since then."""
        [row] = await self._fetch(_OF_CALLER, caller, since)
        return Counted(*row)

    async def of_certificate(self, certificate_id: str, since: datetime) -> Counted:
        """Return how often a certificate's CVC was given or refused since then."""
        [row] = await self._fetch(_OF_CERTIFICATE, certificate_id, since)
        return Counted(*row)

    async def busy_hours(self, now: datetime, more_than: int) -> list[BusyHour]:
        """Bring the counts of hours up to date; return busy ones that were not reported."""
        await self._execute(_COUNT_HOURS)
        await self._execute(_FORGET_HOURS, now)
        return [BusyHour(*row) for row in await self._fetch(_LAST_HOURS, now, more_than)]

    async def report(self, alert: DisclosureUnusual, hour: datetime, now: datetime, stream_key: str) -> bool:
        """Record an alert about a caller, unless one of the same hour was; return whether it was recorded now."""
        if not await self._execute(_REPORT, alert.disclosed_to, hour):
            return False
        await EventRepository(self._connection).append_keyed(stream_key, [about_input(alert, now)])
        return True
