"""What the stream tells is read back as what was decided and stored."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from giftcert.contracts.payload import event_from, payload_of, public_event
from giftcert.contracts.stream import decode_event, digest_of, encode_event
from giftcert.domain.certificate import events as e
from specs.generator.event_schemas import catalogue
from tests.event_schemas import example
from tests.unit.contracts.test_envelope import BLOCKED, EVENT

MAKERS = [(kind, maker) for kind in catalogue() for maker in kind.classes]


def told_of(event_type: str) -> dict[str, Any]:
    payload: dict[str, Any] = example(event_type)["payload"]
    return payload


@pytest.mark.parametrize(
    ("kind", "maker"), MAKERS, ids=[f"{maker.__name__} {kind.event_type}" for kind, maker in MAKERS]
)
def test_the_payload_of_every_event_is_read_back_as_its_dataclass(kind: Any, maker: Any) -> None:
    published = told_of(kind.event_type)

    event = event_from(maker, json.dumps(published))

    assert isinstance(event, maker)
    again = payload_of(event, "RUB")  # type: ignore[type-var] # it is a dataclass
    assert again == {name: published[name] for name in again}
    assert event_from(maker, json.dumps(again)) == event


@pytest.mark.parametrize("nothing_there", [None, "recipient"])
def test_what_is_nested_or_null_comes_back_so(nothing_there: str | None) -> None:
    published = told_of("notification.requested")
    if nothing_there:
        published = {**published, nothing_there: None}

    event = event_from(e.NotificationRequested, json.dumps(published))

    assert (event.recipient is None) == (nothing_there is not None)
    assert payload_of(event) == published


def test_a_field_added_since_takes_its_default_and_one_of_a_later_version_is_left_out() -> None:
    amount = {"amount": 5, "currency": "RUB"}
    published = {"orderId": "IM-1", "lineId": "2", "lineKey": 1, "amount": amount, "colour": "red"}

    assert public_event("issue.ordered", json.dumps(published)) == e.Ordered(
        order_id="IM-1", line_id="2", line_key=1, amount=5
    )


def test_what_no_certificate_decided_is_not_read() -> None:
    assert public_event("audit.imported", "{}") is None
    assert public_event("issue.dreamt", "{}") is None


def test_a_payload_that_does_not_fit_names_where_and_not_what() -> None:
    with pytest.raises(msgspec.DecodeError) as refused:
        public_event("issue.ordered", '{"orderId": 4987654321098765, "lineId": "2", "amount": null}')
    assert "order_id" in str(refused.value)
    assert "4987654321098765" not in str(refused.value)


@pytest.mark.parametrize("stored", [EVENT, BLOCKED, replace(EVENT, nominal=None, channel=None)])
def test_a_record_is_read_back_as_the_event_that_was_stored(stored: Any) -> None:
    key, value, _ = encode_event(stored)

    assert decode_event(key, value) == stored
    assert digest_of(decode_event(key, value)) == digest_of(stored)


@pytest.mark.parametrize(
    "change",
    [
        {"balance": 1},
        {"sequence": 4},
        {"payload": "{}"},
        {"stream_key": "x"},
        {"status": "blocked"},
        {"cause_topic": "X"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_differs_shows_in_the_digest(change: dict[str, Any]) -> None:
    assert digest_of(replace(EVENT, **change)) != digest_of(EVENT)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"eventId": 1}'])
def test_a_record_that_is_no_event_is_told_apart(value: bytes | None) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_event(b"k", value)
