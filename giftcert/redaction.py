"""Keeps CVCs, numbers, keys and passwords out of whatever is logged."""

import re
from collections.abc import MutableMapping
from typing import Any

from stdnum import luhn

REDACTED = "[redacted]"
# Whatever stands under a key of these names is never shown.
_SECRET_KEY = re.compile(
    r"cvc|cvv|secret|passw|token|authorization|cookie|api_?key|database_?url|^number$|(card|certificate|full)_?number",
    re.IGNORECASE,
)
# In any other text a certificate's or a card's number: 13 to 19 digits, spaced or not, whose check digit holds.
_DIGITS = re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])")
# An e-mail address; a telephone number as people write them, with the country's code or Russia's 8.
_PERSON = re.compile(
    r"[^\s@]+@[^\s@]+\.\w+|\+\d(?:[ ()-]{0,2}\d){8,14}(?!\d)|(?<![\w-])8[ (-]{1,2}\d{3}[ )-]{1,2}[\d -]{7,9}"
)
_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]+@")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's shape
    """Take secrets out of a log entry: a structlog processor, the last before rendering."""
    return {key: _redacted(key, value) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Return the text without anything that looks like a number of a certificate or a password in an address."""
    return _URL_PASSWORD.sub(r"\1:***@", _DIGITS.sub(_unless_no_number, text))


def is_fit_to_tell(text: str) -> bool:
    """Return whether words of a person may stand in an event: no certificate's number, e-mail address or telephone."""
    return redact_text(text) == text and _PERSON.search(text) is None


def _redacted(key: str, value: object) -> object:
    if value is not None and _SECRET_KEY.search(key):
        return REDACTED
    return _shown(value)


def _shown(value: object) -> object:
    match value:
        case dict():
            return {str(inner): _redacted(str(inner), content) for inner, content in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(content) for content in value]
        case bytes():
            return f"{len(value)} bytes"
        case None | bool() | float():
            return value
        case int():
            return REDACTED if redact_text(str(value)) == REDACTED else value
        case _:
            return redact_text(str(value))


def _unless_no_number(found: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", found.group())
    return REDACTED if luhn.is_valid(digits) else found.group()
