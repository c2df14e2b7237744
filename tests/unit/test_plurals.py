"""Numbers with their nouns."""

import pytest

from giftcert.plurals import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "no certificates"), (1, "1 certificate"), (2_000, "2,000 certificates")]
)
def test_a_number_has_the_noun_that_goes_with_it(number: int, text: str) -> None:
    assert counted(number, "certificate") == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert counted(2, "entry", "entries") == "2 entries"
