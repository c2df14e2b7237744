"""What counts as a number, an address or a phone number in free texts, however it is written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from giftcert.sensitive_text import (
    is_sensitive,
    is_sensitive_reference,
    number_candidates,
    plain,
    redact_numbers,
    redact_sensitive,
)

NUMBER = "4000000000000002"
SEPARATORS = st.text(
    st.characters(exclude_categories=["L", "N", "M", "Cs"]) | st.sampled_from("\u200b\u0301\ufe0f\u20e3_"),
    max_size=4,
).filter(lambda text: not any(one.isalnum() for one in plain(text)))
SCRIPTS = [0x30, 0x660, 0x6F0, 0x966, 0xFF10, 0x1D7CE, 0x1D7F6, 0x2080]  # where the digits of a script begin
LETTERS = st.text(st.characters(categories=["Ll", "Lu"]), max_size=5)


@pytest.mark.parametrize(
    "text",
    [
        f"the buyer holds {NUMBER}",
        f"x{NUMBER}y",
        f"99{NUMBER}11",
        "4000 0000 0000 0002",
        "4000.0000.0000.0002",
        "4000\u00a00000\u200b0000-0002",
        "\uff14\uff10\uff10\uff10" + NUMBER[4:],
        "378282246310005",  # a card of 15 digits
        f"{NUMBER} 123456",
        "her CVC is 123456? cvc 123456",
        "cvv2: 123",
        "write to anna@example.com",
        "anna\uff20example\uff0ecom",
        "call +7 921 123-45-67",
        "call +79211234567",
        "\uff0b\uff17921 1234567",
        "call 8 (921) 123-45-67",
        "8-921-1234567",
        "(495) 123-45-67",
        "89211234567",
        "call 9211234567",
    ],
)
def test_numbers_addresses_and_phone_numbers_are_found(text: str) -> None:
    assert is_sensitive(text)
    assert not is_sensitive(redact_sensitive(text, "[redacted]"))


@pytest.mark.parametrize(
    "text",
    [
        "agreed by telephone",
        "order IM-1001 of 23.11.2026, refund RF-20261123-77",
        "4000000000000001 is no number",  # its check digit does not hold
        "8 certificates of 5000 for 40000",
        "certificate 01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f",
        "so-01936f8e5a007c3e9d4b0a1b2c3d4e5f",
        "pay-1795478228130",
        "until 2026-11-23 10:00:00",
        "2026-11-23T10:00:00.123456Z",
        "ru-RU",
        "************0002",
        "\u0437\u0430\u043a\u0430\u0437 IM-1001",
    ],
)
def test_ordinary_texts_pass(text: str) -> None:
    assert not is_sensitive(text)
    assert redact_sensitive(text, "[redacted]") == text


@pytest.mark.parametrize(
    "text", ["anna@example.com", "IM-+79211234567", "8 921 123 45 67", "(921) 123-45-67"]
)
def test_an_address_or_a_phone_number_written_as_one_counts_in_a_reference(text: str) -> None:
    assert is_sensitive_reference(text)


@pytest.mark.parametrize(
    "text", [NUMBER, "89211234567", "2026-11-23-0001", "IM-100-200-3000", "20261123.0001"]
)
def test_digits_alone_do_not_count_in_a_reference(text: str) -> None:
    assert not is_sensitive_reference(text)


@given(
    digits=st.lists(st.integers(0, 9), min_size=15, max_size=15),
    scripts=st.lists(st.sampled_from(SCRIPTS), min_size=16, max_size=16),
    between=st.lists(SEPARATORS, min_size=15, max_size=15),
    before=LETTERS,
    behind=LETTERS,
)
def test_a_number_is_found_in_digits_of_any_script_and_between_any_separators(
    digits: list[int], scripts: list[int], between: list[str], before: str, behind: str
) -> None:
    number = "".join(map(str, digits))
    number += luhn.calc_check_digit(number)
    written = [chr(start + int(digit)) for start, digit in zip(scripts, number, strict=True)]
    text = before + "".join(map("".join, zip(written, [*between, ""], strict=True))) + behind
    assert number in number_candidates(text)
    assert is_sensitive(text)
    assert number_candidates(redact_numbers(text, "[redacted]")) == set()


@given(st.text())
def test_the_plain_form_of_a_text_is_as_long_as_the_text(text: str) -> None:
    assert len(plain(text)) == len(text)


@given(
    at=st.datetimes(datetime(2020, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    between=st.sampled_from(" T"),
)
def test_our_own_texts_may_say_when(at: datetime, between: str) -> None:
    assert not is_sensitive(f"payment_captured waits since {at.isoformat(between)}, decided at {at}")
    assert not is_sensitive(f"lapsed at {at.isoformat(between).replace('+00:00', '+00')}")


def test_a_number_in_parts_is_no_instant_and_one_that_looks_like_an_instant_is_still_looked_up() -> None:
    number = "2026112909593633"
    assert luhn.is_valid(number)
    assert is_sensitive("2026-11-29 09.59.36.33")
    assert not is_sensitive("2026-11-29 09:59:36.33Z")
    assert number in number_candidates("2026-11-29 09:59:36.33Z")
