"""Certificates as stored: read one, and lock one with all that a decision about it reads.

A row's columns are the authority for what they hold; ``state`` holds the rest of the domain's state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from asyncpg import Record

from giftcert.domain.certificate.messages import SpendingReported
from giftcert.domain.certificate.state import CertificateState, Reservation, Status
from giftcert.domain.clients import Client
from giftcert.domain.products import Product
from giftcert.storage.database import Connection
from giftcert.storage.order_lines import LINE, LineKey, OrderLineRow, line_of
from giftcert.storage.products import TERMS
from giftcert.storage.repository import Repository, of_row

COLUMNS = f"""
    c.certificate_id::text AS certificate_id, c.product_id, c.currency, c.nominal, c.status, c.blocked, c.balance,
    c.held, c.reservation_id::text AS reservation_id, c.reservation_channel AS channel, c.reserved_at,
    c.reserved_until, c.reservation_ended AS ended, c.sequence, c.version, c.decided_at, c.next_instant, c.timer_at,
    c.run_key, c.parked, c.state, s.number_sealed, s.cvc_sealed, p.nominal AS product_nominal,
    {", ".join(f"p.{name}" for name in TERMS)}
"""
FROM = """
    certificates AS c JOIN products AS p USING (product_id) JOIN certificate_secrets AS s USING (certificate_id)
"""
IDLE = """
    EXISTS (SELECT FROM pending WHERE certificate_id = c.certificate_id) AS is_pending,
    EXISTS (SELECT FROM clients WHERE client_id = c.customer_id AND merged_into IS NOT NULL) AS is_merged
"""
"""What `idle` needs beside ``COLUMNS``."""
_PRODUCTS = "SELECT certificate_id::text, product_id FROM certificates WHERE certificate_id = ANY($1::uuid[])"
_FIND = f"SELECT {COLUMNS} FROM {FROM} WHERE c.certificate_id = ANY($1::uuid[]) ORDER BY 1"  # noqa: S608 - constants
# The certificate first: the lines to lock are those of its state as it is under the lock. A key that was used already
# is answered without any lock.
_LOCK = """
    WITH remembered AS MATERIALIZED (
        SELECT FROM idempotency_keys WHERE caller_key = $2 AND (kept OR answered_at > $3)
    ), locked AS MATERIALIZED (
        SELECT certificate_id, known_lines FROM certificates
        WHERE certificate_id = $1::uuid AND NOT EXISTS (SELECT FROM remembered)
            AND (SELECT set_config('lock_timeout', $5, true)) IS NOT NULL
        FOR NO KEY UPDATE
    ), needed AS MATERIALIZED (
        SELECT line ->> 0 AS order_id, (line ->> 1)::integer AS line_key
        FROM locked, jsonb_array_elements(known_lines) AS line
        UNION
        SELECT order_id, line_key FROM locked JOIN pending USING (certificate_id) WHERE order_id <> ''
    ), wanted AS MATERIALIZED (
        SELECT order_id, line_key FROM needed UNION SELECT order_id, line_key FROM order_lines WHERE order_id = $4
    ), held AS MATERIALIZED (
        SELECT line.* FROM (SELECT * FROM wanted ORDER BY order_id, line_key) AS w CROSS JOIN LATERAL (
            SELECT order_id, line_key FROM order_lines
            WHERE order_id = w.order_id AND line_key = w.line_key FOR NO KEY UPDATE
        ) AS line
    )
    SELECT EXISTS (SELECT FROM remembered) AS is_repeat, EXISTS (SELECT FROM locked) AS is_known,
        ARRAY(SELECT order_id FROM held JOIN needed USING (order_id, line_key) ORDER BY order_id, line_key) AS orders,
        ARRAY(SELECT line_key FROM held JOIN needed USING (order_id, line_key) ORDER BY order_id, line_key) AS keys
"""
# OFFSET 0 keeps the server from joining whole tables: there are few lines and clients to look up, whatever it expects.
_NEEDED = "FROM order_lines WHERE order_id = needed.order_id AND line_key = needed.line_key OFFSET 0"
# One snapshot, taken when all locks are held: what was committed while they were waited for is in it.
_LOAD = f"""
    WITH needed AS MATERIALIZED (SELECT * FROM unnest($2::text[], $3::integer[]) AS needed (order_id, line_key))
    SELECT {COLUMNS}, waiting.*, spent.*, buyers.*, lines.*,
        EXISTS (SELECT FROM idempotency_keys WHERE caller_key = $4 AND (kept OR answered_at > $5)) AS is_repeat
    FROM {FROM} CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('key', jsonb_build_array(order_id, line_key), 'number', number)
            ORDER BY number) AS pending
        FROM pending WHERE certificate_id = c.certificate_id
    ) AS waiting CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_array(identity, message) ORDER BY number) AS spendings
        FROM spendings WHERE certificate_id = c.certificate_id AND applied_at IS NULL
    ) AS spent CROSS JOIN LATERAL (
        WITH RECURSIVE chain AS (
            SELECT known.* FROM (
                SELECT c.customer_id AS client_id
                UNION
                SELECT standing ->> 'customer_id' FROM needed CROSS JOIN LATERAL (SELECT standing {_NEEDED}) AS line
            ) AS buyer CROSS JOIN LATERAL (SELECT * FROM clients WHERE client_id = buyer.client_id OFFSET 0) AS known
            UNION
            SELECT known.* FROM chain CROSS JOIN LATERAL (
                SELECT * FROM clients WHERE client_id = chain.merged_into OFFSET 0
            ) AS known
        )
        SELECT jsonb_agg(to_jsonb(chain)) AS clients FROM chain
    ) AS buyers LEFT JOIN LATERAL (
        SELECT line.* FROM needed CROSS JOIN LATERAL (SELECT {LINE} {_NEEDED}) AS line
    ) AS lines ON true
    WHERE c.certificate_id = $1::uuid ORDER BY lines.order_id, lines.line_key
"""  # noqa: S608 - made of constants
# No lock is taken: what is decided on this row is written only while it is still the same.
_READ = f"""
    SELECT {COLUMNS}, {IDLE},
        EXISTS (SELECT FROM idempotency_keys WHERE caller_key = $2 AND (kept OR answered_at > $3)) AS is_repeat
    FROM {FROM} WHERE c.certificate_id = $1::uuid
"""  # noqa: S608 - constants


class UnknownCertificateError(LookupError):
    """There is no certificate with this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedWork:
    """Work that could not be decided, for a fault of ours."""

    kind: Literal["line", "spending", "deadline"]
    key: str  # the order id of a line, the identity of a spending, the message of a deadline
    line_key: int = 0
    revision: int = 0  # of the line's standing
    build: str  # ours
    error: str  # the class of what was raised
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """A certificate with its product and its sealed secrets."""

    state: CertificateState
    product: Product
    sequence: int  # of its last public event
    version: int
    decided_at: datetime | None
    next_instant: datetime | None  # when it next looks at itself
    timer_at: datetime | None  # what its run's timer is set to
    run_key: int | None  # the data key that sealed what its run holds
    parked: tuple[ParkedWork, ...]
    number_sealed: bytes
    cvc_sealed: bytes


@dataclass(frozen=True, slots=True)
class PendingLine:
    """A row of ``pending``: the line that changed, ``('', 0)`` for spendings, and the number of its last write."""

    key: LineKey
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCertificate:
    """A locked certificate with its locked lines and, as of after the locks, all that waits for it."""

    stored: StoredCertificate
    lines: tuple[OrderLineRow, ...]
    pending: tuple[PendingLine, ...]  # also of lines that became known too late to be locked
    spendings: tuple[tuple[str, SpendingReported], ...]
    clients: tuple[Client, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequest:
    """What to lock a certificate for; where ``caller_key`` has an answer nothing is locked or loaded."""

    certificate_id: str
    caller_key: bytes | None = None
    answers_since: datetime  # others count no more, but for those that are kept
    order_id: str | None = None  # an order, locked already, of which all lines are locked too
    patience: timedelta  # for each lock


class AlreadyAnsweredError(Exception):
    """The caller's key has an answer."""


class CertificateRepository(Repository):
    """Reads certificates without locks."""

    async def load(self, certificate_id: str) -> StoredCertificate:
        """Return a certificate as stored; raises ``UnknownCertificateError``."""
        found = await self.load_all([certificate_id])
        if not found:
            raise UnknownCertificateError(certificate_id)
        return found[0]

    async def load_all(self, certificate_ids: Iterable[str]) -> list[StoredCertificate]:
        """Return those certificates that there are, by id."""
        return [stored_of(row) for row in await self._fetch(_FIND, list(certificate_ids))]

    async def products(self, certificate_ids: Sequence[str]) -> dict[str, str]:
        """Return which of these certificates are ours, with their products."""
        return {row[0]: row[1] for row in await self._fetch(_PRODUCTS, certificate_ids)}


async def read_idle(connection: Connection, request: LockRequest, now: datetime) -> LoadedCertificate | None:
    """Return a certificate without lines and locks, if nothing waits for it and nothing is due; raises as ``lock``."""
    row = await connection.fetchrow(_READ, request.certificate_id, request.caller_key, request.answers_since)
    if row is None:
        raise UnknownCertificateError(request.certificate_id)
    if row["is_repeat"]:
        raise AlreadyAnsweredError
    return idle(row, now)


def idle(row: Record, now: datetime) -> LoadedCertificate | None:
    """Return the certificate of a row of ``COLUMNS`` and ``IDLE``, if nothing waits for it and nothing is due.

    Nor if its buyer was merged into another, whom its events name: who that is takes looking up.
    """
    stored = stored_of(row)
    is_due = stored.next_instant is not None and stored.next_instant <= now
    if is_due or row["is_pending"] or row["is_merged"] or stored.parked or stored.state.waits_for:
        return None
    return LoadedCertificate(stored=stored, lines=(), pending=(), spendings=(), clients=())


async def lock(connection: Connection, request: LockRequest) -> tuple[LineKey, ...]:
    """Lock a certificate, then the lines that it needs, sorted; return these lines.

    Raises ``UnknownCertificateError``, ``AlreadyAnsweredError``, or asyncpg's where others hold a lock too long.
    """
    patience = f"{request.patience.total_seconds():.3f}s"
    key = (request.caller_key, request.answers_since)
    row = await connection.fetchrow(_LOCK, request.certificate_id, *key, request.order_id, patience)
    if row is None or row["is_repeat"]:
        raise AlreadyAnsweredError
    if not row["is_known"]:
        raise UnknownCertificateError(request.certificate_id)
    return tuple(zip(row["orders"], row["keys"], strict=True))


async def load_locked(
    connection: Connection, request: LockRequest, lines: Sequence[LineKey]
) -> LoadedCertificate:
    """Return a locked certificate, these locked lines, and what waits, in one snapshot; raises as ``lock``."""
    orders, keys = [order_id for order_id, _ in lines], [line_key for _, line_key in lines]
    key = (request.caller_key, request.answers_since)
    rows = await connection.fetch(_LOAD, request.certificate_id, orders, keys, *key)
    row = rows[0]
    if row["is_repeat"]:
        raise AlreadyAnsweredError
    return LoadedCertificate(
        stored=stored_of(row),
        lines=tuple(line_of(one) for one in rows if one["standing"] is not None),
        pending=_PENDING.decode(row["pending"] or "[]"),
        spendings=_SPENDINGS.decode(row["spendings"] or "[]"),
        clients=_CLIENTS.decode(row["clients"] or "[]"),
    )


_PARKED = msgspec.json.Decoder(tuple[ParkedWork, ...])
_STATE = msgspec.json.Decoder(CertificateState)
_PENDING = msgspec.json.Decoder(tuple[PendingLine, ...])
_SPENDINGS = msgspec.json.Decoder(tuple[tuple[str, SpendingReported], ...])
_CLIENTS = msgspec.json.Decoder(tuple[Client, ...])


def stored_of(row: Record) -> StoredCertificate:
    """Return the certificate of a row of ``COLUMNS``."""
    product = of_row(Product, row, id=row["product_id"], nominal=row["product_nominal"])
    parked = _PARKED.decode(row["parked"] or "[]")
    return of_row(StoredCertificate, row, state=_state_of(row), product=product, parked=parked)


def encode_state(state: CertificateState) -> str:
    """Return a state as JSON, without its order lines, which have a table of their own."""
    return msgspec.json.encode(replace(state, lines=())).decode()


def decode_state(text: str) -> CertificateState:
    """Return the state that ``encode_state`` stored; fields added since get their defaults."""
    return _STATE.decode(text)


def _state_of(row: Record) -> CertificateState:
    """The stored rest, overlaid with the columns."""
    if row["state"] is not None:
        rest = decode_state(row["state"])
    else:
        rest = CertificateState(
            certificate_id=row["certificate_id"],
            product=row["product_id"],
            currency=row["currency"],
            nominal=0,
        )
    return replace(
        rest,
        nominal=row["nominal"],
        status=Status(row["status"]),
        blocked=row["blocked"],
        balance=row["balance"],
        held=row["held"],
        reservation=None if row["reservation_id"] is None else of_row(Reservation, row),
    )
