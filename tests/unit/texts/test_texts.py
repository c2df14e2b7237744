"""Texts of support: both languages say everything, with the same figures, in the forms that their readers know."""

from datetime import UTC, datetime, timedelta, timezone
from string import Formatter
from typing import Any

import pytest

from api.refunds import REFUSED_FIELDS
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import Awaited, RefundReason
from giftcert.texts import LANGUAGES, Language, MissingTextError, Text, read_texts, texts_in

NO_BREAK = "\N{NO-BREAK SPACE}"


def forms_of(text: Text) -> dict[str, str]:
    return {"": text} if isinstance(text, str) else dict(text)


def values_of(language: Language) -> dict[str, set[str]]:
    """The names of the values that each text takes; of a plural form too where it writes the number as a word."""
    return {
        key: {
            name
            for text in forms_of(forms).values()
            for _, name, form, conversion in Formatter().parse(text)
            if name is not None and (form, conversion) == ("", None)
        }
        for key, forms in read_texts(language).items()
    }


def test_each_language_has_every_text_with_the_same_values() -> None:
    first, *others = (values_of(language) for language in LANGUAGES)
    assert first
    for other in others:
        assert other == first


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_can_be_said(language: Language) -> None:
    for key, names in values_of(language).items():
        values: dict[str, Any] = {name: 2 if name == "count" else f"<{name}>" for name in names}
        text = texts_in(language)(key, **values)
        assert all(f"<{name}>" in text for name in names - {"count"}), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_status_state_and_reason_has_a_text(language: Language) -> None:
    keys = set(values_of(language))
    wanted = {f"status-{one.value}" for one in Status} | {"status-blocked"}
    wanted |= {f"refund-{one.value}" for one in RefundState}
    wanted |= {f"{kind}-{one.value}" for kind in ("reason", "why") for one in RefundReason}
    wanted |= {f"case-{one.value}" for one in Awaited}
    assert wanted <= keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_of_a_decision_names_its_field_and_says_why(language: Language) -> None:
    assert set(REFUSED_FIELDS) == set(ResolutionRefusal) - {ResolutionRefusal.NOTHING_PENDING}
    assert all(texts_in(language)(f"refused-{refusal}") for refusal in REFUSED_FIELDS)


def test_texts_of_codes_name_the_code_that_filters_and_programs_use() -> None:
    for key in values_of("ru"):
        kind, _, code = key.partition("-")
        if kind in {"status", "refund"}:
            assert texts_in("ru")(key).endswith(f"({code})")


def test_a_russian_text_is_not_the_english_one() -> None:
    for key, names in values_of("en").items():
        values: dict[str, Any] = dict.fromkeys(names, 1)
        english = texts_in("en")(key, **values)
        if any(one.isalpha() for one in english):
            assert texts_in("ru")(key, **values) != english, key


@pytest.mark.parametrize(
    ("language", "count", "text"),
    [
        ("en", 1, "**One message could not be decided**"),
        ("en", 2, "**2 messages could not be decided**"),
        ("ru", 1, "**1 сообщение не удалось"),
        ("ru", 2, "**2 сообщения не удалось"),
        ("ru", 5, "**5 сообщений не удалось"),
        ("ru", 11, "**11 сообщений не удалось"),
        ("ru", 21, "**21 сообщение не удалось"),
    ],
)
def test_numbers_choose_the_form_of_their_noun(language: Language, count: int, text: str) -> None:
    assert texts_in(language)("parked", count=count).startswith(text)


@pytest.mark.parametrize(
    ("language", "amount", "currency", "text"),
    [
        ("en", 500_000, "RUB", "5,000.00 RUB"),
        ("en", 5, "RUB", "0.05 RUB"),
        ("en", 5_000, "JPY", "5,000 JPY"),
        ("en", 5_000, "KWD", "5.000 KWD"),
        ("ru", 500_000, "RUB", f"5{NO_BREAK}000,00{NO_BREAK}RUB"),
        ("ru", -123_456_789, "RUB", f"-1{NO_BREAK}234{NO_BREAK}567,89{NO_BREAK}RUB"),
    ],
)
def test_money_is_written_as_people_read_it(
    language: Language, amount: int, currency: str, text: str
) -> None:
    assert texts_in(language).money(amount, currency) == text


@pytest.mark.parametrize(
    ("language", "text"), [("en", "2026-11-23 09:05 UTC"), ("ru", "23.11.2026 09:05 UTC")]
)
def test_times_are_utc_to_the_minute(language: Language, text: str) -> None:
    at = datetime(2026, 11, 23, 12, 5, 59, tzinfo=timezone(timedelta(hours=3)))
    assert texts_in(language).moment(at) == text
    assert texts_in(language).moment(at.astimezone(UTC)) == text


def test_plural_forms_are_those_that_the_language_has() -> None:
    wanted = {"en": {"one", "other"}, "ru": {"one", "few", "other"}}
    for language in LANGUAGES:
        for key, forms in read_texts(language).items():
            assert isinstance(forms, str) or set(forms) == wanted[language], key


def test_a_text_or_a_value_that_is_missing_is_a_fault_and_no_half_sentence() -> None:
    with pytest.raises(MissingTextError, match="ru: nothing lacks 'nothing'"):
        texts_in("ru")("nothing")
    with pytest.raises(MissingTextError, match="en: order lacks 'line'"):
        texts_in("en")("order", order="IM-1")
    with pytest.raises(MissingTextError, match="en: parked lacks 'count'"):
        texts_in("en")("parked")
