"""What Temporal is told: references and sealed secrets alone, and nothing readable where payloads are encrypted."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment
from workflow_support import HISTORIES, Sale, start_environment

from activities.payloads import Advance, Reconciled
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.settings import Settings
from giftcert.temporal.client import data_converter_of
from giftcert.temporal.payload_codec import create_payload_keys
from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Wake, Woken
from giftcert.temporal.workflow_starts import CertificateInput, Reconciliation
from workflows.certificate import CertificateWorkflow

REFERENCES = {
    *("certificate_id", "order_id", "cause", "channel", "product", "signal"),  # ids, and words of ours
    *("status", "refund_state", "refund_reason", "over", "details", "waiting_for", "visibility", "wakes"),
    *("now", "next_instant", "timer_at", "sealed_by"),
    *("sealed", "number_sealed", "cvc_sealed"),
    *("language", "refund_since"),
    *("sample", "violations", "reported"),
}
"""What a field of a payload may be. Whoever adds one thinks of a history that is read by many, and is never erased."""
PAYLOADS = (
    *(CertificateInput, Woken, Wake, Advance, Snapshot, SealedSecrets, Visibility),
    *(Reconciliation, Reconciled),
)
EARLIER = {"first"}  # in stored histories
MARKERS = {
    *("seq", "attempt", "activity_id", "activity_type", "backoff", "original_schedule_time"),
    *("complete_time", "seconds", "nanos", "activation_index"),
}
"""Of the SDK's own record of a local activity."""
BUYERS = ("C-1", "anna", "agreed by telephone")
"""Customer, who decided a refund, and what was noted of it, in the sales of these tests."""


def test_payloads_hold_references_and_sealed_secrets_alone() -> None:
    assert {field.name for payload in PAYLOADS for field in fields(payload)} == REFERENCES


@pytest.mark.parametrize("path", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
def test_a_stored_history_holds_nothing_of_buyers_or_of_people_who_decided(path: Path) -> None:
    contents = [b64decode(payload["data"]).decode() for payload in _payloads(json.loads(path.read_text()))]
    assert contents
    assert _names([json.loads(content) for content in contents if content]) <= REFERENCES | EARLIER | MARKERS
    assert not [content for content in contents for word in BUYERS if word in content]


def _payloads(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict) and "data" in part and "encoding" in part.get("metadata", {}):
        yield part
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for child in children:
        yield from _payloads(child)


def _names(part: Any) -> set[str]:
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    names = set(part) if isinstance(part, dict) else set()
    return names.union(*map(_names, children))


class TestEncrypted:
    """A whole life of a certificate where payloads are encrypted."""

    @pytest.fixture
    async def environment(self, tmp_path: Path) -> AsyncIterator[WorkflowEnvironment]:
        create_payload_keys(tmp_path / "keys.json")
        settings = Settings(_env_file=None, temporal_payload_keys=tmp_path / "keys.json")
        async with start_environment(data_converter_of(settings)) as started:
            yield started

    async def test_a_sale_leaves_a_history_in_which_only_ids_and_search_attributes_can_be_read(
        self, sale: Sale
    ) -> None:
        await sale.tell(sale.ordered(), sale.captured())
        await sale.until_status("issued")
        sealed = await sale.handle.query(CertificateWorkflow.sealed_secrets)
        assert sealed is not None
        history = json.loads((await sale.handle.fetch_history()).to_json())
        for event in history["events"]:
            for attributes in event.values():
                if isinstance(attributes, dict):  # Temporal lists by search attributes, so it reads them
                    attributes.pop("searchAttributes", None)
        encrypted, readable = [], []
        for payload in _payloads(history):
            is_encrypted = b64decode(payload["metadata"]["encoding"]) == b"binary/encrypted"
            (encrypted if is_encrypted else readable).append(b64decode(payload["data"]))
        assert encrypted
        assert _names([json.loads(content) for content in readable]) <= MARKERS
        assert sale.order_id not in json.dumps(history)
        assert not [content for content in readable if sale.order_id.encode() in content]
