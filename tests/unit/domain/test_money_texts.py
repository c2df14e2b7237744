"""Amounts as people read and write them."""

import pytest

from giftcert.domain.money import minor_units, money_text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (500_000, "RUB", "5,000.00 RUB"),
        (5, "RUB", "0.05 RUB"),
        (-123_456, "EUR", "-1,234.56 EUR"),
        (500_000, "JPY", "500,000 JPY"),
        (500_000, "KWD", "500.000 KWD"),
        (2**63, "RSD", "92,233,720,368,547,758.08 RSD"),
    ],
)
def test_an_amount_is_shown_in_whole_units_of_its_currency(amount: int, currency: str, text: str) -> None:
    assert money_text(amount, currency) == text
    assert amount < 0 or minor_units(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("250000", "RUB", 250_000),
        ("2500.00", "RUB", 250_000),
        (" 2,500.00 RUB ", "RUB", 250_000),
        ("2500 JPY", "JPY", 2_500),
        ("0", "RUB", 0),
    ],
)
def test_an_amount_is_read_as_people_write_it_or_in_minor_units(
    text: str, currency: str, amount: int
) -> None:
    assert minor_units(text, currency) == amount


@pytest.mark.parametrize(
    "text", ["", "-1", "2500,00", "2,500", "2500.0", "2500.000", "2500 RUB", "25.00 EUR", "1e3", "٢"]
)
def test_an_amount_that_could_mean_another_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2500\.00 RUB"):
        minor_units(text, "RUB")
