"""What a record that cannot be applied names, so that nothing of it is released meanwhile."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from giftcert.contracts.payments import PaymentRecord
from giftcert.security.keyring import Keyring
from giftcert.storage.quarantine import NamedThings, order_digest
from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import named_things
from kafka_ingest.records import InputRecord
from tests.unit.contracts.topic_records import client, order, payment, raw
from tests.unit.kafka_ingest.ingest_memory import TOPICS

CERTIFICATE = UUID("01936f5e-0000-7000-8000-000000000001")
RESERVATION = UUID("01936f5e-0000-7000-8000-00000000000a")


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("keys") / "keyring.json")


def named(keyring: Keyring, value: Any, key: bytes | None = b"IM-1001", topic: str = "orders") -> NamedThings:
    body = value if isinstance(value, bytes | None) else raw(value)
    return named_things(InputRecord(topic, 0, 0, key, body), TOPICS, keyring)


def test_an_order_names_certificate_reservation_and_itself(keyring: Keyring) -> None:
    found = named(keyring, order(channel="kiosk"))
    assert {CERTIFICATE, RESERVATION} <= set(found.ids)
    assert found.orders == (order_digest(keyring, "IM-1001"),)
    assert found.searchable


@pytest.mark.parametrize(
    "written", [str(CERTIFICATE).upper(), CERTIFICATE.hex], ids=["upper case", "no hyphens"]
)
def test_ids_are_found_however_they_are_written_and_wherever_they_stand(
    keyring: Keyring, written: str
) -> None:
    found = named(keyring, {"Positions": [{"deep": {written: [f"id={written}!"]}}]})
    assert found.ids == (CERTIFICATE,)


def test_an_order_id_is_found_in_the_key_and_under_any_spelling_of_its_field(keyring: Keyring) -> None:
    found = named(keyring, {"order_id": "IM-2", "ORDERID": 3, "orderid": None}, key=b"IM-1")
    assert set(found.orders) == {order_digest(keyring, one) for one in ("IM-1", "IM-2", "3")}


def test_text_with_escapes_is_read_as_what_it_means(keyring: Keyring) -> None:
    escaped = "".join(f"\\u{ord(one):04x}" for one in str(CERTIFICATE))
    assert named(keyring, b'{"certificateId": "%s"}' % escaped.encode()).ids == (CERTIFICATE,)


@pytest.mark.parametrize(
    "value",
    [raw(order())[:-30], b"\xff\x00", json.dumps(order()).encode("utf-16"), b"[" * 100_000],
    ids=["truncated", "no text", "another encoding", "too deep"],
)
def test_an_order_that_is_no_json_cannot_be_searched(keyring: Keyring, value: bytes) -> None:
    found = named(keyring, value)
    assert not found.searchable
    assert found.orders == (order_digest(keyring, "IM-1001"),)


def test_of_an_order_that_was_cut_off_what_is_left_is_found_all_the_same(keyring: Keyring) -> None:
    assert CERTIFICATE in named(keyring, raw(order())[:-30]).ids


@pytest.mark.parametrize(
    ("key", "searchable"), [(b"IM-1001", True), (b"", False), (None, False), (b"\xff", False)]
)
def test_a_payment_concerns_the_order_of_its_key(
    keyring: Keyring, key: bytes | None, *, searchable: bool
) -> None:
    found = named(keyring, raw(payment())[:40], key, "payments")
    assert found.searchable is searchable


def test_a_client_concerns_nothing_that_is_ever_released(keyring: Keyring) -> None:
    assert named(keyring, b"\xff", b"C-77", "clients") == NamedThings()
    assert named(keyring, client(clientId=str(CERTIFICATE)), b"C-77", "clients") == NamedThings()


def test_a_null_concerns_the_order_of_its_key(keyring: Keyring) -> None:
    found = named(keyring, None)
    assert found == NamedThings(orders=(order_digest(keyring, "IM-1001"),))


def test_a_record_with_more_names_than_can_be_kept_counts_as_not_searched(keyring: Keyring) -> None:
    found = named(keyring, [str(UUID(int=nth)) for nth in range(10_001)])
    assert len(found.ids) == 10_000
    assert not found.searchable


def test_a_record_above_the_limit_is_searched_whole(keyring: Keyring) -> None:
    value = raw({"padding": "x" * 2_000_000, "lines": [{"certificateId": str(CERTIFICATE)}]})
    record = InputRecord("orders", 0, 0, b"IM-1001", value)
    [rejection] = decode([record], TOPICS, 1_000_000).rejections
    assert rejection.reason == "tooLarge"
    assert named_things(rejection.source, TOPICS, keyring).ids == (CERTIFICATE,)


def test_digests_are_of_no_use_without_the_keyring(keyring: Keyring, tmp_path: Path) -> None:
    other = Keyring.create(tmp_path / "other.json")
    assert order_digest(keyring, "IM-1001") != order_digest(other, "IM-1001")


def test_a_fault_of_ours_in_decoding_rejects_the_record_alone() -> None:
    def broken(_: object) -> PaymentRecord:
        raise ZeroDivisionError

    records = [
        InputRecord("payments", 0, 0, b"k", raw(payment())),
        InputRecord("orders", 0, 0, b"k", raw(order())),
    ]
    batch = decode(records, replace(TOPICS, decode_payment=broken), 1_000_000)
    [rejection] = batch.rejections
    assert (rejection.reason, rejection.detail) == ("recordFails", "ZeroDivisionError")
    assert len(batch.orders) == 1


@pytest.mark.parametrize("timestamp", [-1, 10**18, 253_402_300_800_000])
def test_times_beyond_the_calendar_are_no_trouble(timestamp: int) -> None:
    record = InputRecord("clients", 0, 0, b"C-77", None, timestamp)
    batch = decode([record], TOPICS, 1_000_000)
    assert len(batch.clients) + len(batch.rejections) == 1
