"""The sequence diagram of one certificate says what contracts and code say."""

import json
import re

import pytest

from giftcert.settings import Settings
from giftcert.temporal.signals import Signal
from tests.unit.specs.mermaid import ROOT
from tests.unit.specs.structure import read_sequence

DIAGRAM = (ROOT / "specs" / "diagrams" / "certificate-life.mmd").read_text("utf-8")
MESSAGES = read_sequence(DIAGRAM)
SCHEMAS = {path.stem for path in (ROOT / "specs" / "schemas").glob("*.json")}


def said(pattern: str, to: str | None = None) -> list[str]:
    texts = [text for _, head, text in MESSAGES if to in {None, head}]
    return [found for text in texts for found in re.findall(pattern, text)]


def test_every_event_and_message_has_a_schema() -> None:
    words = said(r"\b[a-z]+\.[a-zA-Z]+\b")
    assert len(words) > 10
    assert set(words) <= SCHEMAS


def test_every_call_is_one_of_the_api() -> None:
    paths = json.loads((ROOT / "specs" / "openapi.json").read_text("utf-8"))["paths"]
    calls = said(r"\b(GET|POST) (/\S+)", to="api")
    assert len(calls) == 3
    assert [call for call in calls if call[0].lower() not in paths.get(call[1], {})] == []


def test_every_signal_is_one_that_ingest_sends() -> None:
    signals = said(r"\b[a-z]+_[a-z]+\b", to="temporal")
    assert len(signals) == 5
    assert set(signals) <= {str(one) for one in Signal}


def test_every_topic_is_one_of_the_settings() -> None:
    topics = {field.default for name, field in Settings.model_fields.items() if name.startswith("topic_")}
    assert set(said(r"\bon (All_\w+)") + said(r"\bGiftCertificates\S+")) <= topics


@pytest.mark.parametrize("event", ["issue.ordered", "issue.completed", "refund.completed", "audit.expired"])
def test_the_worker_writes_what_the_workflow_leads_to(event: str) -> None:
    assert [(tail, head) for tail, head, text in MESSAGES if event in text] == [("worker", "postgres")]


def test_the_document_shows_the_diagram() -> None:
    assert f"```mermaid\n{DIAGRAM}```\n" in (ROOT / "docs" / "architecture.md").read_text("utf-8")
