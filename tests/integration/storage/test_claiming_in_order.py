"""Where a claim begins to look must never change what it gives, or whether it gives."""

from datetime import UTC, datetime

import asyncpg
import pytest

from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from tests.integration.storage.pool_rows import GIFT, Tables

pytestmark = pytest.mark.integration


def one() -> ClaimRequest:
    return ClaimRequest(GIFT, 1, "im", "shop", GIFT.nominal, datetime.now(UTC))


async def test_a_certificate_passed_over_because_it_was_locked_is_given_in_the_end(tables: Tables) -> None:
    await tables.fill(3)
    first, second, third = await tables.certificate_ids()
    async with asyncpg.create_pool(tables.url, min_size=1, max_size=2) as connections:
        claims = ClaimRepository(connections)
        async with tables.engine.begin() as other:
            await CertificateRepository(other).lock(first, ())
            given = [(await claims.claim(one()))[0]["certificateId"] for _ in range(2)]
        last = (await claims.claim(one()))[0]["certificateId"]
        assert await claims.claim(one()) == []
    assert given == [second, third]
    assert last == first


async def test_new_certificates_are_found_at_once(tables: Tables) -> None:
    await tables.fill(2)
    async with asyncpg.create_pool(tables.url, min_size=1, max_size=2) as connections:
        claims = ClaimRepository(connections)
        assert [len(await claims.claim(one())) for _ in range(3)] == [1, 1, 0]
        await tables.fill(1)
        assert len(await claims.claim(one())) == 1


async def test_released_certificates_follow_the_never_reserved_ones(tables: Tables) -> None:
    await tables.fill(4)
    released, *never = await tables.certificate_ids()
    await tables.run(
        "UPDATE certificates SET available_since = now() WHERE certificate_id = CAST(:id AS uuid)",
        id=released,
    )
    async with asyncpg.create_pool(tables.url, min_size=1, max_size=2) as connections:
        claims = ClaimRepository(connections)
        given = [(await claims.claim(one()))[0]["certificateId"] for _ in range(4)]
    assert given == [*never, released]
