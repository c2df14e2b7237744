from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from giftcert.contracts.clients import ClientRecord, decode_client
from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError
from tests.unit.contracts.topic_records import client, raw, without

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def updated(**changes: Any) -> ClientRecord:
    record = decode_client(b"C-77", raw(client(**changes)), NOON)
    assert isinstance(record, ClientRecord)
    return record


def erased(at: datetime = NOON) -> ClientRecord:
    record = decode_client(b"C-77", None, at)
    assert isinstance(record, ClientRecord)
    return record


def test_settings_are_read_as_crm_says_them() -> None:
    assert updated(mergedInto="C-78", blocked=True) == ClientRecord(
        event_id="cl-1",
        event_type="client.updated",
        occurred_at=datetime(2026, 11, 23, 10, tzinfo=UTC),
        client_id="C-77",
        locale="ru-RU",
        preferred_channel="email",
        merged_into="C-78",
        blocked=True,
    )


@pytest.mark.parametrize("value", [None, b"null"])
def test_a_null_value_erases_all_but_the_id(value: bytes | None) -> None:
    record = decode_client(b"C-77", value, NOON)

    assert isinstance(record, ClientRecord)
    assert record.erased
    assert (record.client_id, record.locale, record.preferred_channel) == ("C-77", None, None)
    assert record.occurred_at == NOON


def test_an_erasure_read_twice_is_one_and_a_later_one_another() -> None:
    assert erased() == erased()
    assert erased().event_id != erased(NOON + timedelta(seconds=1)).event_id


@pytest.mark.parametrize("value", [raw(client(eventType="client.scored")), b'{"eventType": "client.scored"}'])
def test_a_type_that_the_contract_does_not_name_is_told_apart(value: bytes) -> None:
    with pytest.raises(UnknownEventTypeError, match=r"^client\.scored$"):
        decode_client(b"C-77", value, NOON)


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        (b"C-77", raw(without(client(), "clientId")), "clientId"),
        (b"C-77", raw(client(blocked="no")), "blocked"),
        (b"C-77", raw(client(mergedInto="C-77")), "mergedInto"),
        (b"C-77", b"{", "JSON"),
        (None, None, "key"),
        (b"\xff", None, "key"),
        (b"", None, "key"),
        (b"C\x00", None, "key"),
    ],
)
def test_a_client_message_that_breaks_the_contract_is_refused(
    key: bytes | None, value: bytes | None, field: str
) -> None:
    with pytest.raises(MalformedRecord, match=field):
        decode_client(key, value, NOON)
