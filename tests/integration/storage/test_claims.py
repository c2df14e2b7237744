"""Claims on the pool: in order, all or nothing, once per key, whoever they are served with."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from giftcert.domain.products import Product
from giftcert.storage import claim_batching
from giftcert.storage.claim_batching import ClaimQueue
from giftcert.storage.claims import Claimed, ClaimRepository, ClaimRequest, ClaimResult
from giftcert.storage.database import OverloadedError
from giftcert.storage.idempotency import REMEMBERED_FOR, IdempotencyKey
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def wanted(quantity: int = 1, key: str | None = None, **others: Any) -> ClaimRequest:
    claim_key = IdempotencyKey(key.encode(), b"parameters") if key else None
    values = {"channel": "im", "caller": "shop", "nominal": GIFT.nominal, "now": NOW, "key": claim_key}
    return ClaimRequest(product=GIFT, quantity=quantity, **values | others)


@pytest.fixture
async def claims(tables: Tables) -> AsyncIterator[ClaimRepository]:
    async with tables.claims() as repository:
        yield repository


async def one(claims: ClaimRepository, request: ClaimRequest | None = None) -> Claimed:
    [claimed] = await claims.claim([request or wanted()])
    return claimed


def ids(claimed: Claimed) -> list[str]:
    return [claim["certificateId"] for claim in claimed.claims]


async def in_pool(tables: Tables) -> int:
    [row] = await tables.rows("SELECT count(*) AS n FROM certificates WHERE status = 'available'")
    return int(row["n"])


# Order of the pool ---------------------------------------------------------------------------------


async def test_a_certificate_passed_over_because_it_was_locked_is_given_in_the_end(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(3)
    first, second, third = await tables.certificate_ids()
    async with tables.database.transaction() as other:
        lock = "SELECT FROM certificates WHERE certificate_id = $1::uuid FOR NO KEY UPDATE"
        await other.execute(lock, first)
        given = [ids(await one(claims)) for _ in range(2)]
    last = await one(claims)
    assert (await one(claims)).result is ClaimResult.EXHAUSTED
    assert given == [[second], [third]]
    assert ids(last) == [first]


async def test_a_nearly_empty_pool_waits_a_little_for_a_claim_that_may_be_undone(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(1)
    async with tables.database.connection() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("UPDATE certificates SET blocked = true")
        waiting = asyncio.create_task(one(claims))
        await tables.until("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')")
        await transaction.rollback()
    assert (await waiting).result is ClaimResult.GIVEN


async def test_new_certificates_are_found_at_once(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(2)
    assert [len((await one(claims)).claims) for _ in range(3)] == [1, 1, 0]
    await tables.fill(1)
    assert (await one(claims)).result is ClaimResult.GIVEN


async def test_released_certificates_follow_the_never_reserved_ones_the_longest_released_first(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(5)
    cooling, released, *never = await tables.certificate_ids()
    for certificate_id, days in ((cooling, 0), (released, 10)):
        await tables.run(
            "UPDATE certificates SET available_since = :since WHERE certificate_id = CAST(:id AS uuid)",
            id=certificate_id,
            since=NOW - timedelta(days=days),
        )
    assert [ids(await one(claims)) for _ in range(5)] == [[each] for each in (*never, released, cooling)]


async def test_what_something_waits_for_is_passed_over(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(6)
    pending, spent, parked, waits, blocked, free = await tables.certificate_ids()
    await tables.news(pending)
    await tables.run(
        """INSERT INTO spendings (identity, content, certificate_id, message)
            VALUES ('s', '', CAST(:id AS uuid), '{}')""",
        id=spent,
    )
    await tables.run(
        """UPDATE certificates SET parked = CASE WHEN certificate_id = CAST(:parked AS uuid) THEN jsonb '[]' END,
            waits = certificate_id = CAST(:waits AS uuid), blocked = certificate_id = CAST(:blocked AS uuid)""",
        parked=parked,
        waits=waits,
        blocked=blocked,
    )
    assert ids(await one(claims)) == [free]
    assert (await one(claims)).result is ClaimResult.EXHAUSTED


# Served together -----------------------------------------------------------------------------------


async def test_claims_that_are_served_together_get_what_each_asked_for(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(8)
    answers = await claims.claim(
        [wanted(2), wanted(1, "k", channel="pos", caller="till"), wanted(3, nominal=1), wanted(2)]
    )
    assert [len(each.claims) for each in answers] == [2, 1, 3, 2]
    assert sorted(each for answer in answers for each in ids(answer)) == await tables.certificate_ids()
    assert [each.claims[0]["channel"] for each in answers] == ["im", "pos", "im", "im"]
    rows = await tables.rows(
        """SELECT r.reserved_by, c.nominal, count(*) AS n FROM reservations AS r JOIN certificates AS c
            USING (certificate_id) GROUP BY 1, 2 ORDER BY 1, 2"""
    )
    assert [(row["reserved_by"], row["nominal"], row["n"]) for row in rows] == [
        ("shop", 1, 3),
        ("shop", 500_000, 4),
        ("till", 500_000, 1),
    ]


async def test_a_claim_that_is_too_large_takes_nothing_from_those_behind_it(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(5)
    answers = await claims.claim([wanted(4), wanted(3, "big"), wanted(1)])
    assert [each.result for each in answers] == [
        ClaimResult.GIVEN,
        ClaimResult.EXHAUSTED,
        ClaimResult.GIVEN,
    ]
    assert await tables.rows("SELECT 1 FROM idempotency_keys") == []


@pytest.mark.parametrize(("waiting", "statements"), [(25, [13, 12]), (claim_batching.WORTH_SHARING, [8])])
async def test_claims_that_wait_are_served_by_one_statement_or_two_halves(
    tables: Tables,
    claims: ClaimRepository,
    monkeypatch: pytest.MonkeyPatch,
    waiting: int,
    statements: list[int],
) -> None:
    await tables.fill(50)
    batches: list[int] = []
    claim_all = claims.claim

    async def counted(requests: list[ClaimRequest]) -> list[Claimed]:
        batches.append(len(requests))
        return await claim_all(requests)

    monkeypatch.setattr(claims, "claim", counted)
    queue = ClaimQueue(claims)
    answers = await asyncio.gather(*(queue.claim(wanted(2)) for _ in range(waiting)))
    assert len({each for answer in answers for each in ids(answer)}) == 2 * waiting
    assert batches == statements


async def test_a_claim_that_comes_when_too_many_wait_is_refused_at_once(
    tables: Tables, claims: ClaimRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tables.fill(10)
    monkeypatch.setattr(claim_batching, "MOST_WAITING", 3)
    queue = ClaimQueue(claims)
    answers = await asyncio.gather(*(queue.claim(wanted()) for _ in range(5)), return_exceptions=True)
    assert [isinstance(answer, OverloadedError) for answer in answers] == [False] * 3 + [True] * 2
    assert (await queue.claim(wanted())).result is ClaimResult.GIVEN


async def test_products_are_served_apart(tables: Tables, claims: ClaimRepository) -> None:
    other = Product("GC-1000", "RUB", nominal=100_000)
    await tables.fill(1)
    await tables.fill(1, other)
    queue = ClaimQueue(claims)
    requests = [wanted(), replace(wanted(), product=other, nominal=other.nominal)]
    answers = await asyncio.gather(*(queue.claim(request) for request in requests))
    assert [each.claims[0]["product"] for each in answers] == ["GC-5000", "GC-1000"]


async def test_a_claim_that_the_server_refuses_fails_alone(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(3)
    queue = ClaimQueue(claims)
    first = asyncio.create_task(queue.claim(wanted()))
    await asyncio.sleep(0)
    broken, whole = await asyncio.gather(
        queue.claim(wanted(caller="nul \0")), queue.claim(wanted()), return_exceptions=True
    )
    assert isinstance(broken, Exception)
    assert isinstance(whole, Claimed)
    assert (await first).result is whole.result is ClaimResult.GIVEN
    assert await in_pool(tables) == 1


async def test_a_caller_that_leaves_takes_nobody_with_it(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(2)
    queue = ClaimQueue(claims)
    leaving, staying = (asyncio.create_task(queue.claim(wanted())) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).result is ClaimResult.GIVEN
    assert (await queue.claim(wanted())).result is ClaimResult.EXHAUSTED


# Keys ----------------------------------------------------------------------------------------------


async def test_a_repeat_is_answered_as_at_first_and_claims_nothing(
    tables: Tables, claims: ClaimRepository
) -> None:
    await tables.fill(5)
    first = await one(claims, wanted(2, "k"))
    again = await one(claims, wanted(2, "k", now=NOW + timedelta(minutes=1)))
    assert (first.result, again.result) == (ClaimResult.GIVEN, ClaimResult.REPEATED)
    assert again.claims == first.claims
    assert await claims.repeat(IdempotencyKey(b"k", b"parameters"), NOW) == again
    assert await claims.repeat(IdempotencyKey(b"other", b"parameters"), NOW) is None
    assert await in_pool(tables) == 3


async def test_a_key_stands_for_one_set_of_parameters(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(2)
    await one(claims, wanted(key="k"))
    other = replace(wanted(), key=IdempotencyKey(b"k", b"others"))
    assert (await one(claims, other)).result is ClaimResult.OTHER_PARAMETERS
    assert await in_pool(tables) == 1


async def test_a_repeat_after_a_reservation_ended_says_so(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(2)
    await one(claims, wanted(2, "k"))
    await tables.run(
        """UPDATE reservations SET resolved_at = now(), resolution = 'channelReleased'
            WHERE reservation_id = (SELECT reservation_id FROM reservations LIMIT 1)"""
    )
    assert (await one(claims, wanted(2, "k"))).result is ClaimResult.ENDED


async def test_a_key_is_forgotten_after_a_day(tables: Tables, claims: ClaimRepository) -> None:
    await tables.fill(2)
    await one(claims, wanted(key="k"))
    later = await one(claims, wanted(key="k", now=NOW + REMEMBERED_FOR))
    assert later.result is ClaimResult.GIVEN
    assert await claims.repeat(IdempotencyKey(b"k", b"parameters"), NOW + REMEMBERED_FOR) == replace(
        later, result=ClaimResult.REPEATED
    )


async def test_repeats_in_many_processes_claim_once(tables: Tables) -> None:
    """Each on connections of its own; batches with the same keys in opposite orders cannot lock each other out."""
    await tables.fill(6 * 24)

    async def process(nth: int) -> list[list[str]]:
        keys = [f"k{number}" for number in range(12)]
        async with tables.claims() as claims:
            answers = await claims.claim([wanted(2, key) for key in (keys if nth % 2 else reversed(keys))])
        return [ids(each) for each in (answers if nth % 2 else reversed(answers))]

    first, *others = await asyncio.gather(*(process(nth) for nth in range(6)))
    assert all(other == first for other in others)
    assert len({each for given in first for each in given}) == 24
    assert await in_pool(tables) == 5 * 24


async def test_a_repeat_in_another_process_is_no_second_claim_on_the_last_certificates(
    tables: Tables,
) -> None:
    await tables.fill(2)

    async def process() -> list[str]:
        async with tables.claims() as claims:
            [answer] = await claims.claim([wanted(2, "k")])
        return ids(answer)

    first, *others = await asyncio.gather(*(process() for _ in range(6)))
    assert len(first) == 2
    assert all(other == first for other in others)


async def test_whoever_comes_just_as_the_last_statement_ends_is_served(
    tables: Tables, claims: ClaimRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_batching, "STATEMENTS_AT_ONCE", 1)
    await tables.fill(5)
    queue = ClaimQueue(claims)
    for _ in range(5):
        async with asyncio.timeout(10):
            assert (await queue.claim(wanted())).result is ClaimResult.GIVEN
