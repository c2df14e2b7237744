"""How each certificate line of an order stands: table ``order_lines``.

Ingest writes standing, recipient, unpaid_until, names, speaker and what it reported; the transaction that decides over
a certificate writes holder, waiters, counted money and a case that waits for the next holder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from asyncpg import Record

from giftcert.domain.clients import Recipient
from giftcert.domain.order.standing import CountedMoney, LineStanding
from giftcert.storage.repository import Repository, Write, as_json, of_row

LineKey: TypeAlias = tuple[str, int]
"""Order id, and the number of the line within it."""

LINE = """order_id, line_key, standing, recipient, unpaid_until, named_certificates::text[] AS named, speaker::text,
    holder::text, holder_status, waiters::text[] AS waiters, counted, open_case, reported AS report"""
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
    """What ingest reported of a line whose money no certificate of ours speaks for."""

    certificate: str | None = None  # the unknown id that was reported last
    captured: int = 0  # the money of the line, in the order's currency
    foreign: tuple[str, ...] = ()  # identities of captures in other currencies that an alert has reported


NOTHING_COUNTED, NOTHING_REPORTED = CountedMoney(), LineReport()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRow:
    """A certificate line with all that is stored beside its standing."""

    standing: LineStanding
    recipient: Recipient | None = None
    unpaid_until: datetime | None = None
    named: tuple[str, ...] = ()  # the certificates of ours that it names or ever named, newest last
    speaker: str | None = None  # the one that it names now: speaks for its money while nobody holds it
    holder: str | None = None
    holder_status: str | None = None
    waiters: tuple[str, ...] = ()
    counted: CountedMoney = NOTHING_COUNTED
    open_case: str | None = None  # as JSON
    report: LineReport = NOTHING_REPORTED

    @property
    def key(self) -> LineKey:
        """Order id and line key."""
        return self.standing.order_id, self.standing.line_key


_JSON: dict[str, msgspec.json.Decoder[Any]] = {
    "standing": msgspec.json.Decoder(LineStanding),
    "recipient": msgspec.json.Decoder(Recipient),
    "counted": msgspec.json.Decoder(CountedMoney),
    "report": msgspec.json.Decoder(LineReport),
}


class OrderLineRepository(Repository):
    """Reads lines in batches."""

    async def lock(self, order_ids: Iterable[str]) -> dict[LineKey, OrderLineRow]:
        """Return all lines of these orders, which the caller has locked, and hold them until the transaction ends."""
        return {(row[0], row[1]): line_of(row) for row in await self._fetch(_LOCK, list(order_ids))}


def revised(lines: Sequence[OrderLineRow]) -> Write:
    """Insert or update what ingest writes of lines, of orders that the caller has locked."""
    return Write(_REVISE, [as_json(NOTHING_REPORTED), as_json(lines)])


def line_of(row: Record) -> OrderLineRow:
    """Return the line of a row of ``LINE``."""
    known = {name: decoder.decode(row[name]) for name, decoder in _JSON.items() if row[name] is not None}
    of_nothing = {"recipient": None, "counted": NOTHING_COUNTED, "report": NOTHING_REPORTED}
    lists = {name: tuple(row[name]) for name in ("named", "waiters")}
    return of_row(OrderLineRow, row, **{**of_nothing, **known, **lists})
