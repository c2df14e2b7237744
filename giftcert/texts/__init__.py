"""Texts that people of support read, in their language: beside this module, a file of texts by key for each.

Money and times are formatted here; a text takes them as text, so that no translation can change a figure.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, get_args

from giftcert.domain.money import money_text

Language: TypeAlias = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
Text: TypeAlias = str | Mapping[str, str]
"""A text with the names of its values in braces, or one for each plural form, chosen by ``count``."""
_NO_BREAK = "\N{NO-BREAK SPACE}"
_MONEY_IN_RUSSIAN = str.maketrans({",": _NO_BREAK, ".": ",", " ": _NO_BREAK})


class MissingTextError(LookupError):
    """A text is missing in a language, or a value that it takes: a fault of ours."""


class Texts:
    """The texts of one language; ``texts("order", order="IM-1", …)`` returns one with its values put in."""

    def __init__(self, language: Language, by_key: Mapping[str, Text]) -> None:
        self.language = language
        self._by_key = by_key

    def __call__(self, key: str, /, **values: str | int) -> str:
        """Return a text; a ``count`` chooses its plural form.

        Raises:
            MissingTextError: there is no such text, or not all of its values were given.
        """
        try:
            text = self._by_key[key]
            if not isinstance(text, str):
                text = text[self._plural_form(int(values["count"]))]
            return text.format_map(values)
        except KeyError as error:
            raise MissingTextError(f"{self.language}: {key} lacks {error}") from error

    def money(self, amount: int, currency: str) -> str:
        """Return minor units as people read them: ``5,000.00 RUB``."""
        text = money_text(amount, currency)
        return text.translate(_MONEY_IN_RUSSIAN) if self.language == "ru" else text

    def moment(self, at: datetime) -> str:
        """Return an instant to the minute, in UTC as everywhere."""
        form = "%d.%m.%Y %H:%M UTC" if self.language == "ru" else "%Y-%m-%d %H:%M UTC"
        return at.astimezone(UTC).strftime(form)

    def _plural_form(self, count: int) -> str:
        """Return the form of a noun after a whole number, as CLDR names it; ``other`` stands for ``many`` too."""
        if self.language == "en":
            return "one" if count == 1 else "other"
        if count % 100 in {11, 12, 13, 14}:
            return "other"
        return {1: "one", 2: "few", 3: "few", 4: "few"}.get(count % 10, "other")


@cache
def texts_in(language: Language) -> Texts:
    """Return the texts of a language, read once."""
    return Texts(language, read_texts(language))


def read_texts(language: Language) -> dict[str, Text]:
    """Return the texts of a language by key, as they stand in its file."""
    return tomllib.loads(files(__name__).joinpath(f"{language}.toml").read_text("utf-8"))
