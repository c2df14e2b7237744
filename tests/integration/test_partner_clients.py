"""The clients of the integration guide, each run as a partner would run it, against one running stack."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.embedded_environment import ROOT, embedded_environment
from tests.processes import PATIENCE_SECONDS, holds

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
CLIENTS = ROOT / "docs" / "integration" / "clients"
Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def tokens(running_stack: dict[str, Any]) -> dict[str, str]:
    """One for each role, from the command line as the guide says."""
    roles = ("channel", "crm", "ops", "support")
    return {role: giftcert(running_stack, "token", "--role", role) for role in roles}


def giftcert(stack: dict[str, Any], *arguments: str) -> str:
    environment = embedded_environment() | {"GIFTCERT_STATE_DIR": stack["state"]}
    command = [sys.executable, "-m", "giftcert.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


@pytest.fixture
def run(running_stack: dict[str, Any], tokens: dict[str, str], tmp_path: Path) -> Run:
    """Run a client; return the lines that it printed, each from JSON."""

    def run_client(name: str, *arguments: str, role: str = "channel", stdin: object = None) -> list[Any]:
        done = subprocess.run(
            [sys.executable, str(CLIENTS / f"{name}.py"), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "PARTNER_API": running_stack["api_url"],
                "PARTNER_KAFKA": running_stack["kafka_bootstrap_servers"],
                "PARTNER_TOKEN": tokens[role],
            },
            cwd=tmp_path,
            input=json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run_client


@pytest.fixture
def trace(running_stack: dict[str, Any]) -> Callable[[str], list[str]]:
    """The event types of a certificate, in order."""

    def types(certificate_id: str) -> list[str]:
        timeline = json.loads(giftcert(running_stack, "trace", certificate_id, "--json"))["timeline"]
        return [step["eventType"] for step in timeline if step["step"] == "event"]

    return types


def test_the_store_reserves_and_orders_crm_writes_once_and_the_holder_spends_and_gives_back(
    run: Run, trace: Callable[[str], list[str]], tmp_path: Path
) -> None:
    [sold] = run("internet_store")
    assert (sold["status"], sold["balance"]) == ("issued", {"amount": 500_000, "currency": "RUB"})
    [first], [again] = run("crm", "crm", role="crm"), run("crm", "crm", role="crm")
    letters = [json.loads(line) for line in (tmp_path / "crm" / "letters.jsonl").read_text().splitlines()]
    assert (first["written"], again["written"]) == (len(letters), 0)
    [letter] = [one for one in letters if one["certificateId"] == sold["certificateId"]]
    assert letter["to"] == {"ref": "R-5", "channel": "email", "locale": "en-GB"}
    card = {"number": letter["number"], "cvc": letter["cvc"]}
    [seen, spent] = run("payments", stdin=card)
    assert (seen["valid"], seen["balance"]["amount"]) == (True, 500_000)
    assert [spent[name]["amount"] for name in ("held", "spent", "restored", "balance")] == [
        60_000,
        60_000,
        60_000,
        500_000,
    ]
    assert trace(sold["certificateId"]) == [
        "issue.reserved",
        "issue.ordered",
        "issue.completed",
        "notification.requested",
        "audit.cvcDisclosed",
        "redemption.authorized",
        "redemption.captured",
        "redemption.restored",
    ]


async def test_a_till_that_was_off_line_for_a_day_sends_it_twice_and_sells_once(
    run: Run, trace: Callable[[str], list[str]]
) -> None:
    [shelf] = run("pos", "open", "till")
    [sold] = run("pos", "sell", "till")
    assert {one["channel"] for one in shelf} == {"pos"}
    for _ in range(2):
        assert run("pos", "send", "till") == [{"sent": 1}]
    await holds(lambda: trace(sold["certificateId"])[-1:] == ["notification.requested"])
    run("pos", "send", "till")
    run("internet_store")  # is issued after what was sent before it
    assert trace(sold["certificateId"]) == [
        "issue.reserved",
        "issue.ordered",
        "issue.completed",
        "notification.requested",
    ]


def test_orders_exchanges_a_certificate_cancels_a_line_and_reads_the_answer(run: Run) -> None:
    [news] = run("orders")
    assert news["cancelled"]["reason"] == "orderCancelled"
    assert news["removed"]["reason"] == "lineRemoved"
    assert news["ordered"]["replaces"] is not None


def test_bi_reads_each_event_once_and_goes_on_where_it_was_interrupted(run: Run) -> None:
    [part] = run("bi", "bi.db", "3", role="crm")
    assert (part["new"], part["events"]) == (3, 3)
    [rest] = run("bi", "bi.db", role="crm")
    [whole] = run("bi", "whole.db", role="crm")
    assert part["repeats"] + rest["repeats"] == 0
    assert part["new"] + rest["new"] == rest["events"] <= whole["events"]


def test_operations_withdraws_a_certificate_and_reads_the_reports(run: Run) -> None:
    [shelf] = run("pos", "open", "till")
    [seen] = run("operations", shelf[0]["certificateId"], role="ops")
    assert seen["available"]["GC-1000"] > 0
    assert seen["operation"] == {"total": 1, "done": 1, "retired": 1, "blocked": 0}
    assert all("reason" in one for one in seen["reports"])
