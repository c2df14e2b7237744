"""A short ``python -m chaos``: 300 customers around faults that need no further tools, then a service tampered with."""

import os
import tempfile

import asyncpg
import pytest

from benchmarks.stack import running_stack
from chaos.__main__ import judged, options_of, verify
from chaos.partners import Partners, gather_evidence, open_partners
from chaos.play import DIRECT_SPENDING, Run
from chaos.recording import Recording
from chaos.stage import Stage
from tests.state_folders import VARIABLE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
FAULTS = (
    "ingest-killed",
    "worker-frozen",
    "api-killed",
    "dispatch-joins",
    "temporal-frozen",
    "postgres-away",
)


async def test_300_sales_come_out_as_the_book_says_until_somebody_tampers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.environ[VARIABLE])
    short = [
        "--rounds",
        "1",
        "--pace",
        "14",
        "--seconds",
        "2",
        "--frozen",
        "2",
        "--calm",
        "0.2",
        "--imports",
        "5",
    ]
    options = options_of(["--sales", "300", "--seed", "7", *short, "--faults", *FAULTS])
    with running_stack(pool=500, settings=DIRECT_SPENDING) as stack:
        stage = Stage(stack, (stack.folder,))
        async with open_partners(stage) as partners:
            run = Run(stage, partners, options)
            recording = await run.play()
            assert judged(recording) == []
            assert verify(stack) == []
            assert set(run.struck) == set(FAULTS)
            assert len(run.customers) >= 300
            sold = await take_a_kopek(partners, stack.database_url)
            tampered = Recording(partners.book, await gather_evidence(partners), [])
            assert judged(tampered) == [
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
