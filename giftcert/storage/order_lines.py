"""How each certificate line of an order stands: table ``order_lines``.

Ingest writes standing, recipient, unpaid_until, names, speaker and what it reported; the transaction that decides over
a certificate writes holder, waiters, counted money and a case that waits for the next holder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from asyncpg import Record

from giftcert.domain.clients import Recipient
from giftcert.domain.order.standing import CountedMoney, LineStanding
from giftcert.storage.repository import Repository, Write

LineKey: TypeAlias = tuple[str, int]
"""Order id, and the number of the line within it."""

LINE = """order_id, line_key, standing::text, recipient::text, unpaid_until, named_certificates::text[] AS named,
    speaker::text, holder::text, holder_status, waiters::text[] AS waiters, counted::text, open_case::text,
    reported::text"""
"""Columns of ``order_lines`` that ``line_of`` reads."""
# Sorted, so that two transactions that want the same lines wait for each other instead of for ever.
_LOCK = f"""
    SELECT {LINE} FROM order_lines WHERE order_id = ANY($1) ORDER BY order_id, line_key FOR NO KEY UPDATE
"""  # noqa: S608 - made of constants
_REVISE = """
    INSERT INTO order_lines (order_id, line_key, line_id, standing, recipient, unpaid_until, named_certificates,
        speaker, reported)
    SELECT standing ->> 'order_id', (standing ->> 'line_key')::integer, standing ->> 'line_id',
        standing, recipient, unpaid_until, named, speaker, nullif(report, {}::jsonb)
    FROM jsonb_to_recordset({}::jsonb) AS new (standing jsonb, recipient jsonb, unpaid_until timestamptz, named uuid[],
        speaker uuid, report jsonb)
    ORDER BY 1, 2
    ON CONFLICT (order_id, line_key) DO UPDATE
    SET line_id = excluded.line_id, standing = excluded.standing, recipient = excluded.recipient,
        unpaid_until = excluded.unpaid_until, named_certificates = excluded.named_certificates,
        speaker = excluded.speaker, reported = excluded.reported
"""


@dataclass(frozen=True, slots=True)
class LineReport:
    """What ingest reported of a line whose money no certificate of ours speaks for.

    ``certificate`` is the unknown id that was reported last, ``captured`` the money of the line, in the order's
    currency, and ``foreign`` the identities of the captures in other currencies that an alert told of.
    """

    certificate: str | None = None
    captured: int = 0
    foreign: tuple[str, ...] = ()


NOTHING_COUNTED, NOTHING_REPORTED = CountedMoney(), LineReport()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRow:
    """A certificate line with all that is stored beside its standing.

    ``named``: the certificates of ours that it names or ever named, newest last. ``speaker``: of these the one that it
    names now; it speaks for the line's money while nobody holds the line. ``open_case``: encoded as it is stored.
    """

    standing: LineStanding
    recipient: Recipient | None = None
    unpaid_until: datetime | None = None
    named: tuple[str, ...] = ()
    speaker: str | None = None
    holder: str | None = None
    holder_status: str | None = None
    waiters: tuple[str, ...] = ()
    counted: CountedMoney = NOTHING_COUNTED
    open_case: str | None = None
    report: LineReport = NOTHING_REPORTED

    @property
    def key(self) -> LineKey:
        """Order id and line key."""
        return self.standing.order_id, self.standing.line_key


_STANDING: msgspec.json.Decoder[LineStanding] = msgspec.json.Decoder(LineStanding)
_RECIPIENT: msgspec.json.Decoder[Recipient] = msgspec.json.Decoder(Recipient)
_COUNTED: msgspec.json.Decoder[CountedMoney] = msgspec.json.Decoder(CountedMoney)
_REPORT: msgspec.json.Decoder[LineReport] = msgspec.json.Decoder(LineReport)


class OrderLineRepository(Repository):
    """Reads lines in batches."""

    async def lock(self, order_ids: Iterable[str]) -> dict[LineKey, OrderLineRow]:
        """Return all lines of these orders, which the caller has locked, and hold them until the transaction ends."""
        return {(row[0], row[1]): line_of(row) for row in await self._fetch(_LOCK, list(order_ids))}


def revised(lines: Sequence[OrderLineRow]) -> Write:
    """Insert or update what ingest writes of lines, of orders that the caller has locked."""
    nothing, rows = (msgspec.json.encode(one).decode() for one in (NOTHING_REPORTED, lines))
    return Write(_REVISE, [nothing, rows])


def line_of(row: Record | Mapping[str, Any]) -> OrderLineRow:
    """Return the line of a row of ``LINE``."""
    return OrderLineRow(
        standing=_STANDING.decode(row["standing"]),
        recipient=None if row["recipient"] is None else _RECIPIENT.decode(row["recipient"]),
        unpaid_until=row["unpaid_until"],
        named=tuple(row["named"]),
        speaker=row["speaker"],
        holder=row["holder"],
        holder_status=row["holder_status"],
        waiters=tuple(row["waiters"]),
        counted=NOTHING_COUNTED if row["counted"] is None else _COUNTED.decode(row["counted"]),
        open_case=row["open_case"],
        report=NOTHING_REPORTED if row["reported"] is None else _REPORT.decode(row["reported"]),
    )
