"""``giftcert quarantine``: list, show, replay and dismiss, as support runs them."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_runs import RunCommand

from giftcert.domain.policy import Policy
from giftcert.security.keyring import Keyring
from giftcert.storage.database import Database
from giftcert.storage.service_policy import record_policy
from kafka_ingest.records import InputRecord, Topics
from kafka_ingest.transaction import IngestRules
from kafka_ingest.writer import BatchWriter
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates
from tests.unit.contracts.topic_records import goods_line, order, payment

pytestmark = pytest.mark.integration
Quarantine = Callable[..., Awaitable[Any]]
UNKNOWN = "0198c0de-0000-7000-8000-00000000dead"
BEFORE_KIOSKS = Topics("All_SalesOrder", "All_Payments", "All_Clients", ("im", "pos"))


@pytest.fixture
async def store(fresh_database_url: str, own_keys: dict[str, str]) -> AsyncIterator[Store]:
    database = Database(fresh_database_url)
    keyring = Keyring.load(Path(own_keys["keyring"]))
    async with database.transaction() as connection:
        await record_policy(connection, Policy(), datetime.now(UTC))
    yield Store(database, keyring, await add_certificates(database, 1))
    await database.close()


@pytest.fixture
def settings(fresh_database_url: str, own_keys: dict[str, str]) -> dict[str, str]:
    return {"database_url": fresh_database_url, "channels": '["im", "pos", "kiosk"]', **own_keys}


@pytest.fixture
def quarantine(giftcert: RunCommand, settings: dict[str, str]) -> Quarantine:
    """Run a command and return its JSON."""

    async def run(*arguments: str, ends_with: int = 0) -> Any:
        done = await asyncio.to_thread(giftcert, "quarantine", *arguments, "--json", **settings)
        assert done.returncode == ends_with, done.stderr
        return json.loads(done.stdout)

    return run


async def comes_to_quarantine(store: Store) -> list[InputRecord]:
    """An order of a channel that was not configured yet, and a broken payment."""
    records = [
        store.order_record(order(channel="kiosk", lines=[goods_line(), store.line()])),
        store.payment_record(b'{"eventId": "\x1b[2J"}'),
        store.payment_record(payment()),
    ]
    writer = BatchWriter(store.database, IngestRules(BEFORE_KIOSKS, store.keyring, Policy()), store.clock)
    await writer.commit(records, writer.decode(records))
    return records


async def test_the_list_goes_page_by_page(store: Store, quarantine: Quarantine) -> None:
    await comes_to_quarantine(store)
    first = await quarantine("list", "--limit", "1")
    second = await quarantine("list", "--limit", "1", "--after", first["next"])
    assert [one["reason"] for one in first["records"] + second["records"]] == [
        "invalidJson",
        "unknownChannel",
    ]
    assert first["next"] == "All_Payments/0/0"
    assert (await quarantine("list", "--limit", "1", "--after", second["next"]))["records"] == []
    assert len((await quarantine("list", "--reason", "unknownChannel"))["records"]) == 1


async def test_records_of_one_place_stand_on_one_page(store: Store, quarantine: Quarantine) -> None:
    """A topic was made anew; a page that ends between two of one place would hide the second."""
    _, broken, _ = await comes_to_quarantine(store)
    await store.commit(replace(broken, value=b"["))
    page = await quarantine("list", "--limit", "1")
    assert [one["offset"] for one in page["records"]] == [0, 0]
    assert (await quarantine("replay", "--topic", "All_Payments", ends_with=1))["stillBad"] == 2
    [order_record] = (await quarantine("list", "--limit", "1", "--after", page["next"]))["records"]
    assert order_record["reason"] == "unknownChannel"


async def test_a_record_is_shown_as_it_reads_now_without_its_content(
    store: Store, quarantine: Quarantine, giftcert: RunCommand, settings: dict[str, str]
) -> None:
    await comes_to_quarantine(store)
    shown = await quarantine("show", "All_SalesOrder/0/0")
    assert (shown["reason"], shown["readsNow"]) == ("unknownChannel", True)
    assert shown["readsAs"] == "order.created of order IM-1001, version 1"
    assert [(one["isApplied"], one["outcome"]) for one in shown["replay"]] == [(True, "new")]
    assert "original" not in shown
    broken = await quarantine("show", "All_Payments/0/0")
    assert (broken["readsNow"], broken["replay"][0]["reason"]) == (False, "invalidJson")
    done = await asyncio.to_thread(giftcert, "quarantine", "show", "All_SalesOrder/0/0", **settings)
    assert "C-77" not in done.stdout
    assert await store.value("SELECT count(*) FROM events WHERE event_type = 'audit.operatorActed'") == 0


async def test_it_is_said_whether_a_record_that_reads_well_would_be_applied_and_nothing_is_done(
    store: Store, quarantine: Quarantine, giftcert: RunCommand, settings: dict[str, str]
) -> None:
    """It names a certificate that is not there, which no decoder sees."""
    unknown = order(channel="kiosk", lines=[goods_line(), {**store.line(), "certificateId": UNKNOWN}])
    records = [store.order_record(unknown)]
    writer = BatchWriter(store.database, IngestRules(BEFORE_KIOSKS, store.keyring, Policy()), store.clock)
    await writer.commit(records, writer.decode(records))
    before = await store.events()
    shown = await quarantine("show", "All_SalesOrder/0/0")
    assert (shown["readsNow"], shown["replay"][0]["isApplied"]) == (True, False)
    assert shown["replay"][0]["reason"] == "unknownCertificate"
    done = await asyncio.to_thread(giftcert, "quarantine", "show", "All_SalesOrder/0/0", **settings)
    assert "replay     would be refused: unknownCertificate: line 2: no such certificate" in done.stdout
    assert await store.events() == before
    assert [one["reason"] for one in (await quarantine("list"))["records"]] == ["unknownChannel"]
    assert await store.value("SELECT count(*) FROM orders") == 0


async def test_who_looks_at_an_original_is_recorded_first(
    store: Store, quarantine: Quarantine, giftcert: RunCommand, settings: dict[str, str]
) -> None:
    records = await comes_to_quarantine(store)
    shown = await quarantine("show", "All_SalesOrder/0/0", "--reveal", "--by", "anna")
    assert shown["original"]["value"]["text"] == (records[0].value or b"").decode()
    assert (await store.events())[-1] == (
        "audit.operatorActed",
        {"who": "anna", "what": "quarantine show --reveal All_SalesOrder/0/0"},
    )
    done = await asyncio.to_thread(giftcert, "quarantine", "show", "All_Payments/0/0", "--reveal", **settings)
    assert "may hold personal data" in done.stdout
    assert "\x1b" not in done.stdout


async def test_a_replay_applies_what_is_good_now_and_says_what_is_not(
    store: Store, quarantine: Quarantine
) -> None:
    await comes_to_quarantine(store)
    answer = await quarantine("replay", "--all", "--by", "anna", ends_with=1)
    assert answer == {
        "applied": 1,
        "stillBad": 1,
        "reasons": [
            {
                "position": "All_Payments/0/0",
                "reason": "invalidJson",
                "detail": "the value is not JSON in UTF-8",
            }
        ],
    }
    line = await store.line_row()
    assert (line.named, line.standing.is_paid) == ((store.certificates[0],), True)
    left = await quarantine("list")
    assert [one["offset"] for one in left["records"]] == [0]
    closed = (await quarantine("list", "--closed"))["records"]
    assert [(one["offset"], one["closedHow"]) for one in closed] == [(0, None), (0, "replayed")]
    assert closed[1]["closedAt"]


async def test_one_record_or_those_of_a_reason_are_replayed(store: Store, quarantine: Quarantine) -> None:
    await comes_to_quarantine(store)
    assert (await quarantine("replay", "--reason", "unknownChannel"))["applied"] == 1
    again = await quarantine("replay", "All_SalesOrder/0/0")
    assert (again["applied"], again["stillBad"]) == (0, 0)
    assert (await quarantine("replay", "--topic", "All_SalesOrder"))["applied"] == 0


async def test_what_is_dismissed_is_closed_and_says_why(
    store: Store, quarantine: Quarantine, giftcert: RunCommand, settings: dict[str, str]
) -> None:
    await comes_to_quarantine(store)
    why = ("--note", "the kiosk sold it again", "--by", "anna")
    answer = await quarantine("dismiss", "All_SalesOrder/0/0", *why)
    assert answer == {"position": "All_SalesOrder/0/0", "dismissed": 1}
    assert (await store.events())[-1] == (
        "audit.operatorActed",
        {"who": "anna", "what": "quarantine dismiss All_SalesOrder/0/0: the kiosk sold it again"},
    )
    assert [one["reason"] for one in (await quarantine("list"))["records"]] == ["invalidJson"]
    assert (await quarantine("replay", "All_SalesOrder/0/0"))["applied"] == 0
    shown = await asyncio.to_thread(giftcert, "quarantine", "show", "All_SalesOrder/0/0", **settings)
    assert ", dismissed 20" in shown.stdout
    again = await asyncio.to_thread(giftcert, "quarantine", "dismiss", "All_SalesOrder/0/0", *why, **settings)
    assert (again.returncode, again.stderr) == (1, "giftcert: All_SalesOrder/0/0 is closed already\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay"], "say which"),
        (["replay", "--all", "--reason", "invalidJson"], "say which"),
        (["replay", "--topic", "All_Orders"], "--topic: is none of those that are read, All_SalesOrder, "),
        (["list", "--after", "All_Payments/0/99"], "--after: is not `next` of a page"),
        (["replay", "nowhere"], "nowhere is no position: write TOPIC/PARTITION/OFFSET"),
        (["show", "All_Payments/0/99"], "nothing of All_Payments/0/99 lies in quarantine"),
        (["dismiss", "All_Payments/0/99", "--note", "n"], "nothing of All_Payments/0/99 lies in quarantine"),
        (["dismiss", "All_Payments/0/99", "--note", " "], "--note: must have 1 to 500 characters"),
    ],
)
async def test_what_cannot_be_done_is_one_clear_line(
    giftcert: RunCommand, settings: dict[str, str], arguments: list[str], words: str
) -> None:
    done = await asyncio.to_thread(giftcert, "quarantine", *arguments, **settings)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_reason_that_no_record_has_is_named_with_those_that_there_are(
    store: Store, giftcert: RunCommand, settings: dict[str, str]
) -> None:
    await comes_to_quarantine(store)
    done = await asyncio.to_thread(giftcert, "quarantine", "list", "--reason", "invalidJSON", **settings)
    assert done.stderr == "giftcert: --reason: no record has it; there are invalidJson, unknownChannel\n"


async def test_another_keyring_is_named_by_its_setting(
    store: Store, giftcert: RunCommand, settings: dict[str, str], tmp_path: Path
) -> None:
    await comes_to_quarantine(store)
    Keyring.create(tmp_path / "other.json")
    other = settings | {"keyring": str(tmp_path / "other.json")}
    done = await asyncio.to_thread(giftcert, "quarantine", "replay", "--all", **other)
    assert (done.returncode, "GIFTCERT_KEYRING" in done.stderr) == (1, True)
