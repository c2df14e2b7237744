"""Claims on the pool: one statement for all channels that wait, in the order of the pool's index (ADR 26)."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from giftcert.domain.numbers import mask
from giftcert.domain.products import Product
from giftcert.storage.database import Database
from giftcert.storage.events import CHANGED, events_of
from giftcert.storage.idempotency import REMEMBERED_FOR, IdempotencyKey
from giftcert.storage.refused_claims import RefusedClaimRepository
from giftcert.storage.repository import by_column
from giftcert.storage.reservations import NOTHING_WAITS

LOCK_WAIT = "150ms"  # of claims on a near-empty pool, for certificates that others hold locked
START_SECONDS = 1.0
_BEGINNING = UUID(int=0)

Claim: TypeAlias = dict[str, Any]  # a certificate given, as the channel is answered now and on a repeat


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What a channel asks of the pool."""

    product: Product
    quantity: int
    channel: str
    caller: str
    nominal: int | None  # in minor units; of an open-value one perhaps not chosen yet
    now: datetime
    key: IdempotencyKey | None = None

    @property
    def reserved_until(self) -> datetime:
        """When the reservations expire."""
        return self.now + self.product.reservation


class ClaimResult(StrEnum):
    """What became of a claim."""

    GIVEN = "given"
    REPEATED = "repeated"  # answered before under the same key
    ENDED = "ended"  # answered before, and a reservation of the answer has ended since
    OTHER_PARAMETERS = "otherParameters"  # the key was used for something else
    EXHAUSTED = "exhausted"  # the pool holds too few


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim, and what was given under its key now or before."""

    result: ClaimResult
    claims: Sequence[Claim] = ()


_ANSWERED = """
SELECT request, CASE WHEN NOT same THEN 'otherParameters' WHEN EXISTS (
        SELECT FROM jsonb_array_elements(answer) AS claim WHERE (
            SELECT resolved_at FROM reservations WHERE reservation_id = (claim ->> 'reservationId')::uuid
        ) IS NOT NULL) THEN 'ended' ELSE 'repeated' END AS result, answer, NULL::uuid AS last_new
FROM answered
"""
# $1 product, $2 currency, $3 masked part of the number, $4 where to begin, $5 keys older than this are forgotten;
# of each request: $6 number, $7 quantity, $8 channel, $9 caller, $10 now, $11 reserved until, $12 the same as the
# stream writes it, $13 nominal (0: not chosen), $14 caller key or NULL, $15 digest of the parameters.
_RESERVED = "'reservationId', reservation_id, 'reservedUntil', until_text"
# All are of one product: a bare aggregate takes a tenth of a millisecond less than one by product.
_COUNTED = """counted AS (
    INSERT INTO pool_changes (product_id, was, status, certificates)
    SELECT $1, 'available', 'reserved', count(*) FROM claimed HAVING count(*) > 0
)"""
_CLAIM = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($6::integer[], $7::integer[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[],
        $12::text[], $13::bigint[], $14::bytea[], $15::bytea[])
        AS asked (request, quantity, channel, caller, at, until, until_text, nominal, caller_key, parameters)
), answered AS MATERIALIZED (
    SELECT request, known.parameters = asked.parameters AS same, known.answer
    FROM asked CROSS JOIN LATERAL (
        SELECT * FROM idempotency_keys AS key
        WHERE key.caller_key = asked.caller_key AND (key.kept OR key.answered_at > $5) OFFSET 0
    ) AS known
), wanted AS MATERIALIZED (
    SELECT *, sum(quantity) OVER (ORDER BY request) AS last
    FROM asked WHERE request NOT IN (SELECT request FROM answered)
), picked AS MATERIALIZED (
    SELECT c.certificate_id, last_four, available_since = '-infinity' AS never_reserved FROM certificates AS c
    WHERE product_id = $1 AND status = 'available' AND NOT blocked
        AND (available_since, c.certificate_id) > ('-infinity', $4::uuid) AND {NOTHING_WAITS}
    ORDER BY available_since, c.certificate_id
    LIMIT (SELECT sum(quantity) FROM wanted) FOR NO KEY UPDATE OF c {{skip_locked}}
), numbered AS MATERIALIZED (
    SELECT *, row_number() OVER () AS nth, count(*) OVER () AS found FROM picked
), given AS MATERIALIZED ( -- to each request all that it wants, or nothing
    SELECT *, jsonb_build_object('certificateId', certificate_id, 'reservationId', reservation_id, 'maskedNumber',
        $3::text || last_four, 'product', $1::text, 'nominal', CASE WHEN nominal > 0
        THEN jsonb_build_object('amount', nominal, 'currency', $2::text) END, 'channel', channel,
        'reservedUntil', until_text) AS claim
    FROM (
        SELECT wanted.*, certificate_id, last_four, never_reserved, nth, uuidv7() AS reservation_id
        FROM wanted JOIN numbered ON nth > last - quantity AND nth <= last AND last <= found
    ) AS paired
), remembered AS ( -- sorted, as another process may write the same keys; whoever comes second claims nothing
    INSERT INTO idempotency_keys AS known (caller_key, parameters, answer, answered_at)
    SELECT caller_key, parameters, jsonb_agg(claim ORDER BY nth), at
    FROM given WHERE caller_key IS NOT NULL GROUP BY caller_key, parameters, at ORDER BY caller_key
    ON CONFLICT (caller_key) DO UPDATE
    SET parameters = excluded.parameters, answer = excluded.answer, answered_at = excluded.answered_at
    WHERE known.answered_at <= $5 AND NOT known.kept
    RETURNING caller_key
), claimed AS (
    UPDATE certificates AS c SET status = 'reserved', nominal = given.nominal, reservation_id = given.reservation_id,
        reservation_channel = channel, reserved_at = at, reserved_until = until, reservation_ended = false,
        sequence = sequence + 1, version = version + 1, decided_at = greatest(decided_at, at),
        next_instant = CASE WHEN next_instant IS NOT NULL THEN least(next_instant, until) END -- of an open case
    FROM given WHERE c.certificate_id = given.certificate_id
        AND (caller_key IS NULL OR caller_key IN (SELECT caller_key FROM remembered))
    RETURNING {CHANGED}, request, never_reserved, nth, channel, caller, at, until, until_text, claim
), reserved AS (
    INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until)
    SELECT reservation_id, certificate_id, channel, caller, at, until FROM claimed
), {_COUNTED}, {events_of("claimed", "issue.reserved", "at", "channel", _RESERVED)}
SELECT request, 'given' AS result, jsonb_agg(claim ORDER BY nth) AS answer,
    (array_agg(certificate_id ORDER BY certificate_id DESC) FILTER (WHERE never_reserved))[1] AS last_new
FROM claimed GROUP BY request
UNION ALL {_ANSWERED}
"""  # noqa: S608 - made of constants
_SKIPPING, _WAITING = (_CLAIM.format(skip_locked=how) for how in ("SKIP LOCKED", ""))
_LEFT = """
SELECT count(*) FROM (
    SELECT FROM certificates WHERE product_id = $1 AND status = 'available' AND NOT blocked
    ORDER BY available_since LIMIT $2
) AS free
"""
_REPEAT = f"""
WITH answered AS (
    SELECT 0 AS request, parameters = $2 AS same, answer FROM idempotency_keys
    WHERE caller_key = $1 AND (kept OR answered_at > $3)
)
{_ANSWERED}
"""  # noqa: S608 - made of constants


class ClaimRepository:
    """Claims certificates on connections that nobody else waits for, each statement a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._starts: dict[str, _Start] = {}

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claimed]:
        """Reserve for each request, all of one product, what it asks or nothing; count those refused first (ADR 27)."""
        left, answers = dict(enumerate(requests)), dict[int, Claimed]()
        # Where another process used the same key in that instant, its answer is seen only by the next attempt: by the
        # second, or by the last where it took all that was left.
        for attempt in (self._claim, self._claim, self._claim_patiently, self._claim):
            if left:
                answers |= await attempt(left)
                left = {number: one for number, one in left.items() if number not in answers}
        if left:
            await self._count_refused(list(left.values()))
        return [answers.get(number, Claimed(ClaimResult.EXHAUSTED)) for number in range(len(requests))]

    async def repeat(self, key: IdempotencyKey, now: datetime) -> Claimed | None:
        """Return what was answered under a key, if anything was."""
        horizon = now - REMEMBERED_FOR
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REPEAT, key.caller_key, key.parameters, horizon)
        return None if row is None else _claimed(row)

    async def _claim(self, requests: Mapping[int, ClaimRequest]) -> dict[int, Claimed]:
        product = next(iter(requests.values())).product
        start = self._starts.setdefault(product.id, _Start())
        async with self._database.connection() as connection:
            rows = await connection.fetch(_SKIPPING, *_parameters(requests, start.after()))
        start.passed(rows, found_all=len(rows) == len(requests))
        return {row["request"]: _claimed(row) for row in rows}

    async def _claim_patiently(self, requests: Mapping[int, ClaimRequest]) -> dict[int, Claimed]:
        """Claim for as many as there seem to be certificates for; who holds one locked may yet give it up."""
        product = next(iter(requests.values())).product
        quantity = sum(one.quantity for one in requests.values())
        async with self._database.transaction() as connection:
            fitting = _fitting(requests, await connection.fetchval(_LEFT, product.id, quantity))
            if not fitting:
                return {}
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
            try:
                async with connection.transaction():
                    rows = await connection.fetch(_WAITING, *_parameters(fitting, _BEGINNING))
            except asyncpg.LockNotAvailableError:
                return {}
        return {row["request"]: _claimed(row) for row in rows}

    async def _count_refused(self, requests: Sequence[ClaimRequest]) -> None:
        async with self._database.transaction() as connection:
            attempts = RefusedClaimRepository(connection)
            for channel in sorted({one.channel for one in requests}):
                times = [one.now for one in requests if one.channel == channel]
                await attempts.add(requests[0].product.id, channel, times)
            await attempts.record_due(max(one.now for one in requests))


class _Start:
    """Behind which never reserved certificate to look next, for a second: then for what was locked before.

    Claimed certificates leave dead entries at the head of the index: after 50,000 a claim took twice as long.
    """

    def __init__(self) -> None:
        self._after = _BEGINNING
        self._good_until = 0.0

    def after(self) -> UUID:
        if time.monotonic() > self._good_until:
            self._forget()
        return self._after

    def passed(self, rows: Iterable[asyncpg.Record], *, found_all: bool) -> None:
        if not found_all:
            self._forget()
            return
        taken = (row["last_new"] for row in rows if row["last_new"] is not None)
        self._after = max((self._after, *taken), key=lambda one: one.int)

    def _forget(self) -> None:
        self._after = _BEGINNING
        self._good_until = time.monotonic() + START_SECONDS


def _fitting(requests: Mapping[int, ClaimRequest], left: int) -> dict[int, ClaimRequest]:
    """Return the requests, first come first served, for which so many certificates suffice."""
    fitting = {}
    for number, one in requests.items():
        if one.quantity <= left:
            fitting[number] = one
            left -= one.quantity
    return fitting


def _parameters(requests: Mapping[int, ClaimRequest], after: UUID) -> list[Any]:
    product = next(iter(requests.values())).product
    oldest = min(one.now for one in requests.values()) - REMEMBERED_FOR
    columns = by_column(
        (
            number,
            one.quantity,
            one.channel,
            one.caller,
            one.now,
            one.reserved_until,
            msgspec.to_builtins(one.reserved_until),
            one.nominal or 0,
            one.key and one.key.caller_key,
            one.key and one.key.parameters,
        )
        for number, one in requests.items()
    )
    return [product.id, product.currency, mask("", product.number_length - 4), after, oldest, *columns]


def _claimed(row: asyncpg.Record) -> Claimed:
    return Claimed(ClaimResult(row["result"]), msgspec.json.decode(row["answer"]))
