"""Work that waits for a certificate: a line whose standing changed, or payments that spend it. Table ``pending``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.storage.repository import Repository, Write, as_json
from giftcert.temporal.signals import Signal

# Sorted, so that two transactions that want the same rows wait for each other instead of for ever. Each write draws a
# new number: a decision deletes a row only while it is the one that it read. `since` stays that of the first write.
_ADD = """
    INSERT INTO pending AS known (certificate_id, order_id, line_key, kind, channel, cause_topic, cause_event_id, since)
    SELECT certificate_id, order_id, line_key, kind, channel, cause ->> 'topic', cause ->> 'event_id', {}
    FROM jsonb_to_recordset({}::jsonb)
        AS new (certificate_id uuid, order_id text, line_key integer, kind text, channel text, cause jsonb)
    ORDER BY certificate_id, order_id, line_key
    ON CONFLICT (certificate_id, order_id, line_key) DO UPDATE
    SET number = nextval('pending_number'), kind = excluded.kind, channel = excluded.channel,
        cause_topic = excluded.cause_topic, cause_event_id = excluded.cause_event_id, signalled_at = NULL
"""
# Only for the sweep's patience: a signal lost is not marked, and one marked wrongly is sent again a little later. Rows
# that others hold are being written anew, or decided.
_MARK = """
    WITH held AS (
        SELECT p.certificate_id, p.order_id, p.line_key, sent.at
        FROM unnest($1::uuid[], $2::timestamptz[]) AS sent (certificate_id, at) JOIN pending AS p USING (certificate_id)
        WHERE p.since <= sent.at AND p.signalled_at IS NULL FOR NO KEY UPDATE OF p SKIP LOCKED
    )
    UPDATE pending AS p SET signalled_at = held.at FROM held
    WHERE (p.certificate_id, p.order_id, p.line_key) = (held.certificate_id, held.order_id, held.line_key)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRow:
    """A row to write."""

    certificate_id: str
    order_id: str = ""  # of a line; empty for spendings
    line_key: int = 0
    kind: Signal
    channel: str  # the task queue of a workflow that the signal may have to start
    cause: Cause | None


class PendingRepository(Repository):
    """Remembers what was signalled."""

    async def mark_signalled(self, sent: Mapping[str, datetime]) -> None:
        """Remember when these certificates were signalled, where they have not decided meanwhile."""
        await self._execute(_MARK, list(sent), list(sent.values()))


def waiting(rows: Sequence[PendingRow], since: datetime) -> Write:
    """Write rows, each key once; one that is there already gets another number and the newest kind."""
    return Write(_ADD, [since, as_json(rows)])
