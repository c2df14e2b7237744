from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from giftcert.domain.certificate.state import CertificateState, Status
from giftcert.temporal.client import DATA_CONVERTER

CONVERTER = DATA_CONVERTER.payload_converter


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    at: datetime
    lasts: timedelta
    colour: Colour
    sealed: bytes
    free: dict[str, Any]
    inner: tuple[Inner, ...] = field(default=())
    missing: Inner | None = None


EVERYTHING = Everything(
    at=datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC),
    lasts=timedelta(hours=72),
    colour=Colour.RED,
    sealed=b"\x00\xff",
    free={"list": [1, None, "x"], "nested": {"flag": True}},
    inner=(Inner("a"), Inner("b")),
)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (EVERYTHING, Everything),
        ([EVERYTHING], list[Everything]),
        (None, Everything | None),
        (5, int),
        ("text", str),
        (True, bool),
        (["a", "b"], list[str]),
        ((1, 2), tuple[int, ...]),
        (b"\x00\xff", bytes),
        ({"a": [1, 2]}, dict[str, Any]),
        (Colour.RED, Colour),
        ({"without": "hint"}, None),
        (CertificateState(certificate_id="c", product="p", currency="RUB", nominal=1), CertificateState),
    ],
)
def test_a_value_comes_back_from_temporal_as_it_went(value: Any, hint: Any) -> None:
    assert CONVERTER.from_payload(CONVERTER.to_payload(value), hint) == value


def test_the_web_ui_can_show_a_dataclass() -> None:
    payload = CONVERTER.to_payload(Inner("a"))

    assert payload.metadata["encoding"] == b"json/plain"
    assert payload.data == b'{"name":"a"}'


def test_a_field_added_since_gets_its_default() -> None:
    stored = b'{"certificate_id": "c", "product": "p", "currency": "RUB", "nominal": 1, "gone": 5}'
    payload = Payload(metadata={"encoding": b"json/plain"}, data=stored)

    assert CONVERTER.from_payload(payload, CertificateState).status == Status.AVAILABLE


def test_a_payload_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError):
        CONVERTER.from_payload(CONVERTER.to_payload({"name": 1}), Inner)


async def test_a_failure_is_told_without_numbers() -> None:
    failure, error = Failure(), ValueError("no 4000 0000 0000 0002")
    error.__cause__ = KeyError("4000000000000002")
    await DATA_CONVERTER.encode_failure(error, failure)
    assert failure.message == "no [redacted]"
    assert "0002" not in str(failure)
