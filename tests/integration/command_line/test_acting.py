"""Commands by which operations and support act: they answer in words and in JSON, and refuse in one line."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from command_runs import RunCommand

from giftcert.contracts.codec import encode_state
from giftcert.domain.state import CertificateState, OrderFacts, Sale
from giftcert.storage.engine import engine_at
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration
SOLD = """
    UPDATE certificates SET status = 'issued', order_id = 'IM-1', line_id = '1', balance = 500000, sequence = 3,
        state = CAST(:state AS jsonb) WHERE certificate_id = CAST(:id AS uuid)
"""
UNKNOWN = "0198c0de-0000-7000-8000-00000000dead"


@pytest.fixture
async def tables(fresh_database_url: str) -> AsyncIterator[Tables]:
    engine = engine_at(fresh_database_url)
    yield Tables(engine, fresh_database_url)
    await engine.dispose()


async def run(giftcert: RunCommand, tables: Tables, *arguments: str) -> Any:
    return await asyncio.to_thread(giftcert, *arguments, database_url=tables.url)


async def test_a_batch_is_retired_from_the_command_line(giftcert: RunCommand, tables: Tables) -> None:
    batch_id = await tables.fill(3)
    await tables.reserve()
    wanted = ("pool", "retire", "--batch", str(batch_id), "--reason", "misprinted", "--by", "olga")
    done = await run(giftcert, tables, *wanted)
    assert (done.returncode, done.stdout) == (0, "3 retired, 0 blocked; now retired 3\n")
    told = await tables.rows("SELECT payload FROM events WHERE event_type = 'audit.retired'")
    assert [row["payload"] for row in told] == [{"reason": "misprinted", "by": "olga", "breakage": None}]
    again = await run(giftcert, tables, *wanted, "--json")
    assert json.loads(again.stdout) == {"retired": 0, "blocked": 0, "statuses": {"retired": 3}}


async def test_while_temporal_is_away_a_sold_certificate_is_blocked_all_the_same(
    giftcert: RunCommand, tables: Tables
) -> None:
    batch_id = await tables.fill(1)
    [sold] = await tables.certificate_ids()
    await tables.run(SOLD, id=sold, state=encode_state(sold_state(sold)))
    wanted = ("pool", "retire", "--batch", str(batch_id), "--reason", "misprinted", "--by", "olga", "--json")
    done = await asyncio.to_thread(giftcert, *wanted, database_url=tables.url, temporal_address="127.0.0.1:1")
    assert json.loads(done.stdout) == {"retired": 0, "blocked": 1, "statuses": {"blocked": 1}}
    assert done.stderr == "Temporal is away: workflows learn of it at their next step\n"


def sold_state(certificate_id: str) -> CertificateState:
    return CertificateState(
        certificate_id=certificate_id,
        product="GC-5000",
        currency="RUB",
        nominal=500_000,
        orders=(OrderFacts(order_id="IM-1"),),
        sale=Sale(order_id="IM-1", line_id="1", amount=500_000),
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--reason", "x"), "name either --batch or --certificate"),
        (("--reason", "x", "--batch", UNKNOWN), f"there is no batch {UNKNOWN}"),
        (("--reason", "x", "--certificate", UNKNOWN), f"there is no certificate {UNKNOWN}"),
        (("--reason", " ", "--batch", UNKNOWN), "--reason: must have 1 to 500 characters"),
        (
            ("--reason", "told anna@example.com", "--batch", UNKNOWN),
            "--reason: goes to the stream, leave numbers, e-mail addresses and telephones out",
        ),
    ],
)
async def test_a_retirement_that_cannot_be_is_one_clear_line(
    giftcert: RunCommand, tables: Tables, options: tuple[str, ...], words: str
) -> None:
    done = await run(giftcert, tables, "pool", "retire", "--by", "olga", *options)
    assert (done.returncode, done.stderr) == (1, f"giftcert: {words}\n")


async def test_refunds_that_wait_are_listed(giftcert: RunCommand, tables: Tables) -> None:
    assert (await run(giftcert, tables, "refunds", "list")).stdout == "no refund case waits\n"
    empty = await run(giftcert, tables, "refunds", "list", "--state", "requested", "--json")
    assert json.loads(empty.stdout) == {"items": [], "next": None}
    wrong = await run(giftcert, tables, "refunds", "list", "--state", "completed")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "giftcert: --state: must be one of pendingDetails, awaitingCapture, requested\n",
    )
