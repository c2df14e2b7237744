"""``giftcert refunds``: a case is listed and decided from the command line, by the same workflow as over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import pytest
from command_runs import RunCommand

from giftcert.storage.engine import engine_at
from tests.integration.api.calling import Stock, open_api, settings_for
from tests.integration.api.refunding import PRICE, Desk
from tests.integration.api.selling import with_own_namespace
from worker import running

pytestmark = pytest.mark.integration


@dataclass
class Office(Desk):
    """A desk whose persons use commands."""

    giftcert: RunCommand

    async def refunds(self, *arguments: str, **settings: str) -> "CompletedProcess[str]":
        ours = self.api.settings
        addresses = {
            "database_url": ours.database_url.get_secret_value() if ours.database_url else "",
            "temporal_address": str(ours.temporal_address),
            "temporal_namespace": ours.temporal_namespace,
            "request_timeout": "PT30S",
        }
        return await asyncio.to_thread(self.giftcert, "refunds", *arguments, **(addresses | settings))


@pytest.fixture
async def office(
    fresh_database_url: str, tmp_path: Path, temporal_address: str, giftcert: RunCommand
) -> AsyncIterator[Office]:
    spending = {"direct_spend_channels": ("pos",), "direct_spend_cap": PRICE, "refund_four_eyes_over": PRICE}
    chosen = settings_for(fresh_database_url, tmp_path / "keys", **spending)
    settings, client = await with_own_namespace(chosen, temporal_address)
    engine = engine_at(fresh_database_url)
    stock = Stock(engine, settings)
    await stock.fill(0)
    async with open_api(settings) as api, running(settings):
        yield Office(api, stock, client, giftcert)
    await engine.dispose()


async def test_a_case_is_listed_and_decided(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    listed = await office.refunds("list")
    assert f"{sold.order_id}, line 1" in listed.stdout
    assert "certificateRedeemed" in listed.stdout
    [one] = json.loads((await office.refunds("list", "--json")).stdout)["items"]
    assert one == (await office.api.as_role("support", "/refunds")).json()["items"][0]
    done = await office.refunds(
        "resolve", case, "--approve", "--amount", "300000", "--note", "agreed", "--json"
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["taken"]["amount"], outcome["uncovered"]["amount"]) == (300_000, 200_000)
    assert (outcome["status"], outcome["balance"]["amount"]) == ("partiallyRedeemed", 100_000)
    again = await office.refunds("resolve", case, "--reject", "--note", "no")
    assert (again.returncode, again.stderr) == (1, f"giftcert: refund case {case} is closed\n")


async def test_money_in_another_currency_is_listed_in_that(office: Office) -> None:
    sold = await office.sell()
    await office.refund(sold, amount=6_000, currency="EUR")
    case = await office.case_of(sold, "pendingDetails")
    assert "6,000 EUR of 500,000 RUB" in (await office.refunds("list")).stdout
    done = await office.refunds("resolve", case, "--reject", "--amount", "50000", "--note", "a gesture")
    assert "0 taken, 50,000 uncovered" in done.stdout


async def test_people_are_told_the_outcome_in_words_and_by_name(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    done = await office.refunds("resolve", case, "--reject", "--note", "the buyer keeps it", "--by", "anna")
    assert done.stdout == (
        f"refund case {case}: reject carried out, 0 taken, 500,000 uncovered; the certificate is "
        "partiallyRedeemed, balance 400,000 (minor units of RUB), refund rejected\n"
    )
    [resolved] = [
        one["payload"]
        for one in await office.stock.events(sold.certificate_id)
        if one["event_type"] == "refund.resolved"
    ]
    assert (resolved["resolvedBy"], resolved["note"]) == ("anna", "the buyer keeps it")


async def test_a_large_refund_takes_two_names(office: Office) -> None:
    sold = await office.sell()
    await office.refund(sold, amount=PRICE + 1)
    case = await office.case_of(sold, "pendingDetails")
    decide = ("resolve", case, "--approve", "--note", "agreed")
    first = await office.refunds(*decide, "--by", "anna")
    assert (first.returncode, first.stdout) == (
        0,
        f"refund case {case}: agreed; another person has to repeat decision and amount\n",
    )
    assert (
        json.loads((await office.refunds(*decide, "--by", "anna", "--json")).stdout)["awaitingSecond"] is True
    )
    assert (
        json.loads((await office.refunds(*decide, "--by", "bert", "--json")).stdout)["status"] == "refunded"
    )


async def test_what_cannot_be_decided_is_one_clear_line(office: Office) -> None:
    _, case = await office.spent_and_refunded()
    unknown = str(uuid4())
    for arguments, words in (
        ((case, "--note", "n"), "name either --approve or --reject"),
        ((unknown, "--note", "n", "--approve"), f"there is no refund case {unknown}"),
        (
            (case, "--note", "n", "--approve", "--amount", "400001"),
            "--amount: is more than the balance, or than the refund is worth",
        ),
    ):
        done = await office.refunds("resolve", *arguments, "--by", "anna")
        assert (done.returncode, done.stderr) == (1, f"giftcert: {words}\n")


async def test_without_temporal_or_workers_the_setting_is_named(
    office: Office, temporal_address: str
) -> None:
    _, case = await office.spent_and_refunded()
    decide = ("resolve", case, "--approve", "--note", "n")
    away = await office.refunds(*decide, temporal_address="127.0.0.1:1")
    assert away.returncode == 1
    assert away.stderr.startswith(
        "giftcert: Temporal at 127.0.0.1:1 cannot be used (GIFTCERT_TEMPORAL_ADDRESS)"
    )
    deserted, _ = await with_own_namespace(office.api.settings, temporal_address)
    idle = await office.refunds(
        *decide, temporal_namespace=deserted.temporal_namespace, request_timeout="PT1S"
    )
    assert idle.returncode == 1
    assert idle.stderr == (
        "giftcert: no worker answered within 1 s (GIFTCERT_REQUEST_TIMEOUT): "
        "it may have been carried out, look before repeating\n"
    )
