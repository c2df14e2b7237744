"""What can be a secret is found however it is written, and what cannot be one is not taken for it."""

import re

import pytest

from giftcert.verification.secrets import NumberSearch, may_hold_cvc, short_words

NUMBER = "4539578763621486"
SEARCH = NumberSearch((16,))


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f'{{"note": "{NUMBER}"}}',
        f"12{NUMBER}",
        f"{NUMBER}99",
        "4539 5787 6362 1486",
        "4539-5787-6362-1486.",
        "4539.5787 / 6362 _ 1486",
        "number4539578763621486cvc",
        "\uff14\uff15\uff13\uff19\uff15\uff17\uff18\uff17\uff16\uff13\uff16\uff12\uff11\uff14\uff18\uff16",
        "\u0664\u0665\u0663\u0669578763621486",
        '{"note": "4539\\n5787\\u00a06362\\t1486"}',
        f"\u0446\u0438\u0444\u0440\u044b {NUMBER}",
    ],
)
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    assert NUMBER in SEARCH.candidates(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "************1486",
        "4539578763621487",  # its last digit is no check digit
        "453957876362148",
        '{"paymentIds": ["45395787", "63621486"]}',  # two texts
        "019ab0f1-7c00-7abc-8def-0123456789ab at 2026-11-23T12:00:00.123456Z",
    ],
)
def test_what_cannot_be_a_number_is_not_looked_up(text: str) -> None:
    assert SEARCH.candidates(text.encode()) == set()


def test_numbers_of_every_length_that_products_have_are_found() -> None:
    search = NumberSearch((13, 19))
    assert re.fullmatch(search.digits, "4 2-2" + "2" * 10)
    assert search.candidates(b"4222222222222") == {"4222222222222"}
    assert "6304000000000000000" in search.candidates(b"<6304000000000000000>")


@pytest.mark.parametrize(
    "payload",
    [
        '{"note": "the code is 123456, she said"}',
        '{"reason": "123456"}',
        '{"reason": "cvc:123456"}',
        '{"reason": "cvc=123456."}',
        '{"cvc": 123456}',
        '{"given": {"any": ["x", "123456"]}}',
        '"123456"',
    ],
)
def test_a_few_digits_are_found_where_a_cvc_could_be_said(payload: str) -> None:
    assert may_hold_cvc(payload)
    assert short_words(payload) == {"123456"}


@pytest.mark.parametrize(
    "payload",
    [
        '{"amount": {"amount": 123456, "currency": "RUB"}}',
        '{"count": 123456, "offset": 123456}',
        '{"orderId": "123456", "paymentIds": ["123456"]}',
        '{"validUntil": "2026-11-23T12:00:00.123456Z"}',
        '{"webUrl": "http://127.0.0.1:8233/namespaces/default"}',
        '{"note": "12 of 1234567890, IM-123456, 3.141592"}',
        '{"suppressed": true, "missing": null}',
    ],
)
def test_amounts_counts_instants_and_ids_are_not_taken_for_a_cvc(payload: str) -> None:
    assert short_words(payload) == set()


def test_an_ordinary_payload_need_not_be_read() -> None:
    assert not may_hold_cvc('{"amount": {"amount": 500000, "currency": "RUB"}, "orderId": "IM-1001"}')
