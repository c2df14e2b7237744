"""Claims on the pool: one statement, so one transaction and one trip, that a channel's buyer waits for.

The order of the pool index is the rule: never reserved certificates come first, then the longest released. One that
still rests is taken only when nothing else is left, because those that rest are the last of that order.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from giftcert.domain.numbers import mask
from giftcert.domain.products import Product
from giftcert.storage.idempotency import REMEMBERED_FOR, IdempotencyKey

BEGINNING = UUID(int=0)
START_SECONDS = 1.0
LOCK_WAIT = "150ms"
"""How long a claim on a near-empty pool waits for certificates that others hold locked."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a channel asks of the pool. ``nominal`` in minor units; ``None`` if open-value and not chosen yet."""

    product: Product
    quantity: int
    channel: str
    caller: str
    nominal: int | None
    now: datetime

    @property
    def reserved_until(self) -> datetime:
        """When the reservations run out."""
        return self.now + self.product.reservation


Claim: TypeAlias = dict[str, Any]
"""One certificate given, under the names by which the channel is told and, on a repeat, told again."""


# $1 product, $2 quantity, $3 reservation ids, $4 event ids, $5 channel, $6 caller, $7 now, $8 reserved until,
# $9 the same as the event's payload writes it, $10 nominal (0: not chosen), $11 currency, $12 where to begin;
# with a key also $13 call, $14 key, $15 digest of the parameters, $16 what all claims of the answer share,
# $17 the masked part of the number, $18 the instant before which keys are forgotten.
_PICK = """
WITH picked AS MATERIALIZED (
    SELECT certificate_id, last_four, available_since = '-infinity' AS fresh FROM certificates
    WHERE product_id = $1 AND status = 'available' AND NOT blocked
        AND (available_since, certificate_id) > ('-infinity', $12::uuid)
    ORDER BY available_since, certificate_id LIMIT {limit} FOR UPDATE {skip_locked}
), given AS MATERIALIZED ( -- all or nothing
    SELECT certificate_id, last_four, fresh, row_number() OVER () AS nth FROM picked
    WHERE (SELECT count(*) FROM picked) = $2
)"""
# A repeat while the first runs waits here for the first to end; one that lost gets no row, and claims nothing.
_REMEMBER = """, remembered AS (
    INSERT INTO idempotency_keys AS known (caller, call, idempotency_key, parameters, answer, answered_at)
    SELECT $6, $13, $14, $15, jsonb_agg(jsonb_build_object('certificateId', certificate_id,
        'reservationId', ($3::uuid[])[nth], 'maskedNumber', $17::text || last_four) || $16::jsonb ORDER BY nth), $7
    FROM given HAVING count(*) > 0
    ON CONFLICT (caller, call, idempotency_key) DO UPDATE
    SET parameters = excluded.parameters, answer = excluded.answer, answered_at = excluded.answered_at
    WHERE known.answered_at < $18
    RETURNING true
)"""
_CLAIM = """, claimed AS (
    UPDATE certificates AS c SET status = 'reserved', nominal = $10, reservation_id = ($3::uuid[])[nth],
        reservation_channel = $5, reserved_at = $7, reserved_until = $8, reservation_ended = false,
        sequence = sequence + 1, version = version + 1
    FROM given {remembered} WHERE c.certificate_id = given.certificate_id
    RETURNING c.certificate_id, c.reservation_id, c.sequence, c.refund_state, c.last_four, fresh, nth
), reserved AS (
    INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until)
    SELECT reservation_id, certificate_id, $5, $6, $7, $8 FROM claimed
), told AS (
    INSERT INTO events (event_id, shard, stream_key, certificate_id, sequence, event_type, occurred_at, channel,
        sale_channel, status, refund_state, product_id, nominal, currency, balance, held, payload)
    SELECT ($4::uuid[])[nth], crc32(certificate_id::text::bytea) % 32, certificate_id::text, certificate_id, sequence,
        'issue.reserved', $7, $5, $5, 'reserved', refund_state, $1, nullif($10, 0), $11, 0, 0,
        jsonb_build_object('reservationId', reservation_id, 'reservedUntil', $9::text)
    FROM claimed
)
SELECT certificate_id, reservation_id, last_four, fresh FROM claimed ORDER BY nth
"""


def _statement(*, keyed: bool, single: bool, skip_locked: bool) -> str:
    # A limit that is written out lets the server plan once for all: with a parameter it must expect any number.
    pick = _PICK.format(limit="1" if single else "$2", skip_locked="SKIP LOCKED" if skip_locked else "")
    claim = _CLAIM.format(remembered=", remembered" if keyed else "")
    return pick + (_REMEMBER if keyed else "") + claim


_STATEMENTS = {
    (keyed, single, skip_locked): _statement(keyed=keyed, single=single, skip_locked=skip_locked)
    for keyed in (True, False)
    for single in (True, False)
    for skip_locked in (True, False)
}


class _Start:
    """Behind which never reserved certificate to look next.

    Claimed certificates leave dead entries at the head of the index, which every claim would step over until
    vacuum: after 50,000 of them a claim took twice as long. So for a second each claim begins where the one before
    ended; then one begins at the beginning, for what was passed over because somebody held it locked.
    """

    def __init__(self) -> None:
        self._after = BEGINNING
        self._good_until = 0.0

    def after(self) -> UUID:
        if time.monotonic() > self._good_until:
            self.forget()
        return self._after

    def passed(self, certificate_id: UUID) -> None:
        self._after = max(self._after, UUID(int=certificate_id.int))

    def forget(self) -> None:
        self._after = BEGINNING
        self._good_until = time.monotonic() + START_SECONDS


class ClaimRepository:
    """Claims certificates on connections of its own pool, each claim a transaction of its own."""

    def __init__(self, connections: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._connections = connections
        self._starts: dict[str, _Start] = {}

    async def claim(self, request: ClaimRequest, key: IdempotencyKey | None = None) -> list[Claim]:
        """Reserve as many certificates as asked, or none.

        Returns:
            The claims; empty where the pool holds too few, or where the key has been used.
        """
        start = self._starts.setdefault(request.product.id, _Start())
        after = start.after()
        rows = await self._fetch(request, key, after)
        if not rows and after != BEGINNING:
            start.forget()
            rows = await self._fetch(request, key, BEGINNING)
        if rows and rows[-1]["fresh"]:
            start.passed(rows[-1]["certificate_id"])
        return [_claim(request, row) for row in rows]

    async def _fetch(
        self, request: ClaimRequest, key: IdempotencyKey | None, after: UUID
    ) -> list[asyncpg.Record]:
        statement = _STATEMENTS[key is not None, request.quantity == 1, True]
        return await self._connections.fetch(statement, *_parameters(request, key, after))

    async def claim_patiently(self, request: ClaimRequest, key: IdempotencyKey | None = None) -> list[Claim]:
        """Do as ``claim`` but wait a little for certificates that others hold locked.

        Where the pool is nearly empty the claim that holds a lock may yet be undone, and its certificate be free.
        """
        parameters = _parameters(request, key, BEGINNING)
        async with self._connections.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            try:
                async with connection.transaction():
                    rows = await connection.fetch(
                        _STATEMENTS[key is not None, request.quantity == 1, False], *parameters
                    )
            except asyncpg.LockNotAvailableError:
                return []
        return [_claim(request, row) for row in rows]


def _parameters(request: ClaimRequest, key: IdempotencyKey | None, after: UUID) -> list[Any]:
    quantity = request.quantity
    parameters = [
        request.product.id,
        quantity,
        [uuid7() for _ in range(quantity)],
        [uuid7() for _ in range(quantity)],
        request.channel,
        request.caller,
        request.now,
        request.reserved_until,
        json_instant(request.reserved_until),
        request.nominal or 0,
        request.product.currency,
        after,
    ]
    if key is None:
        return parameters
    shared = msgspec.json.encode(_shared(request)).decode()
    masked = mask("", request.product.number_length - 4)
    return [*parameters, key.call, key.key, key.parameters, shared, masked, request.now - REMEMBERED_FOR]


def _shared(request: ClaimRequest) -> dict[str, Any]:
    """What all claims of one answer have in common, under the names of the answer."""
    return shared_answer(request.product, request.nominal, request.channel, request.reserved_until)


def shared_answer(product: Product, nominal: int | None, channel: str, reserved_until: datetime) -> Claim:
    """Return what an answer says of product and reservation; ``nominal`` is ``None`` if not chosen yet."""
    return {
        "product": product.id,
        "nominal": None if nominal is None else {"amount": nominal, "currency": product.currency},
        "channel": channel,
        "reservedUntil": json_instant(reserved_until),
    }


def _claim(request: ClaimRequest, row: asyncpg.Record) -> Claim:
    return {
        "certificateId": str(row["certificate_id"]),
        "reservationId": str(row["reservation_id"]),
        "maskedNumber": mask(row["last_four"], request.product.number_length),
        **_shared(request),
    }


def json_instant(moment: datetime) -> str:
    """Return an instant as msgspec writes it: RFC 3339 with ``Z``, microseconds where there are any."""
    return moment.isoformat().removesuffix("+00:00") + "Z"
