import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from simulators.crm import Crm
from simulators.demo import findings
from simulators.demo.expectations import InputReported
from simulators.demo.journal import Journal
from simulators.demo.outcomes import ISSUED, CertificateTells
from simulators.demo.schemas import SCHEMAS, judge_schemas
from simulators.service import Disclosure, Reservation, Service
from simulators.topics import Record

Sale = Callable[..., list[Record]]
MakeRecord = Callable[..., Record]
NUMBER = "4000001234567899"
FULL = {"status": "issued", "balance": {"amount": 500_000, "currency": "RUB"}}


@pytest.fixture
async def crm() -> AsyncIterator[Crm]:
    async with httpx.AsyncClient() as client:
        yield Crm(Service(client, "token"))


@pytest.fixture
def sold(journal: Journal, crm: Crm, sale: Sale, event_record: MakeRecord) -> Journal:
    """A sale whose client has had the letter."""
    disclosed = event_record("audit.cvcDisclosed", sequence=5, payload={"notificationId": "n-c-1"}, **FULL)
    for record in [*sale(), disclosed]:
        journal.take(record)
    crm.letters["n-c-1"] = Disclosure(certificate_id="c-1", number=NUMBER, cvc="123456")
    return journal


def failing(found: list[findings.Finding]) -> list[str]:
    return [finding.subject for finding in found if not finding.holds]


def test_a_sale_with_its_letter_breaks_nothing(sold: Journal, crm: Crm) -> None:
    assert failing(findings.judge_stream(sold, crm)) == []


def test_a_letter_without_its_record_is_found(sold: Journal, crm: Crm) -> None:
    crm.letters["n-other"] = Disclosure(certificate_id="c-2", number="4000009876543213", cvc="654321")
    assert failing(findings.judge_stream(sold, crm)) == ["CVCs disclosed without a record"]


def test_a_client_without_a_letter_is_found_with_the_refusal(sold: Journal, crm: Crm) -> None:
    crm.letters.clear()
    crm.refused["n-c-1"] = "409 not-issued"
    [missing] = [one for one in findings.judge_stream(sold, crm) if not one.holds]
    assert missing.seen == "c-1: 409 not-issued"


@pytest.mark.parametrize("secret", [NUMBER, "123456"])
def test_a_secret_on_the_stream_is_found(
    sold: Journal, crm: Crm, event_record: MakeRecord, secret: str
) -> None:
    sold.take(event_record("audit.blocked", sequence=6, payload={"reason": secret}, **FULL))
    assert failing(findings.judge_stream(sold, crm)) == ["Numbers and CVCs in clear on the stream"]


def test_an_event_of_a_goods_order_is_found(sold: Journal) -> None:
    assert findings.judge_goods(sold, {"IM-2"}).holds
    assert not findings.judge_goods(sold, {"IM-1"}).holds


def test_an_error_that_no_scenario_made_is_found(journal: Journal, event_record: MakeRecord) -> None:
    journal.take(
        event_record("error.unknownCertificate", None, payload={"eventId": "so-1", "reason": "unknown"})
    )
    assert findings.judge_errors(journal, [InputReported("error.unknownCertificate", event_id="so-1")]).holds
    assert not findings.judge_errors(journal, []).holds


def test_a_scenario_shows_how_often_each_story_was_expected_and_told(
    sold: Journal, reservation: Reservation
) -> None:
    untold = msgspec.structs.replace(reservation, certificate_id="c-2")
    expected = [CertificateTells(one, ISSUED) for one in (reservation, untold)]
    found = findings.judge_scenario("Sold", 2, expected, [], sold)
    assert found.expected == f"2 x {ISSUED}"
    assert set(found.seen.splitlines()) == {f"1 x {ISSUED}", "1 x nothing"}
    assert not found.holds


def test_a_scenario_that_broke_does_not_hold_whatever_was_told(
    sold: Journal, reservation: Reservation
) -> None:
    expected = [CertificateTells(reservation, ISSUED)]
    assert findings.judge_scenario("Sold", 1, expected, [], sold).holds
    assert not findings.judge_scenario("Sold", 1, expected, ["409 not-issued"], sold).holds
    assert not findings.judge_scenario("Sold", 1, [], [], sold).holds


@pytest.mark.parametrize(
    "example", sorted((SCHEMAS / "examples").glob("issue.*.json")), ids=lambda path: path.stem
)
def test_an_event_is_held_against_its_published_schema(journal: Journal, example: Path) -> None:
    event = json.loads(example.read_text("utf-8"))
    journal.texts["c-1"].append(json.dumps(event))
    assert judge_schemas(journal).holds
    journal.texts["c-1"].append(json.dumps({**event, "occurredAt": "yesterday"}))
    assert "yesterday" in judge_schemas(journal).seen


def test_an_event_that_is_not_published_as_a_schema_is_found(journal: Journal) -> None:
    journal.texts[None].append('{"eventType": "issue.imagined"}')
    assert judge_schemas(journal).seen == "issue.imagined has no schema"
