"""A short ``python -m chaos``: every story around one fault, and then a service that was tampered with."""

import os
import tempfile

import asyncpg
import pytest

from benchmarks.stack import running_stack
from chaos.__main__ import options_of, play, settled_differences, verify
from chaos.customers import DIRECT_SPENDING
from chaos.partners import Partners, open_partners
from tests.state_folders import VARIABLE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_all_comes_out_as_the_book_says_until_somebody_tampers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.environ[VARIABLE])
    options = options_of(["--faults", "ingest-killed", "--pace", "20"])
    with running_stack(pool=0, settings=DIRECT_SPENDING) as stack:
        async with open_partners(stack) as partners:
            assert await play(stack, partners, options) == []
            assert verify(stack) == 0
            sold = await take_a_kopek(partners, stack.database_url)
            assert await settled_differences(partners, patience=0) == [
                f"certificate {sold}: balance is 499999 over HTTP, 500000 by the book"
            ]


async def take_a_kopek(partners: Partners, database_url: str) -> str:
    """Take it from a certificate that nobody has spent, refunded or cancelled."""
    untouched = next(
        line
        for line in partners.book.lines
        if line.captured and not (line.purchases or line.refunded or line.withdrawn)
    )
    certificate_id = untouched.certificates[-1]
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE certificates SET balance = balance - 1 WHERE certificate_id = $1::text::uuid", certificate_id
    )
    await connection.close()
    return certificate_id
