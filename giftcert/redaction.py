"""Keeps CVCs, numbers, keys and passwords out of logs and error messages."""

import re
import traceback
from collections.abc import MutableMapping
from typing import Any

from giftcert.plurals import counted
from giftcert.sensitive_text import redact_numbers

REDACTED = "[redacted]"
# Whatever stands under a key of these names is never shown.
_SECRET_KEY = re.compile(
    r"cvc|cvv|secret|passw|token|authorization|cookie|api_?key|database_?url|^number$|(card|certificate|full)_?number",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]+@")


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's shape
    """Take secrets out of a log entry: a structlog processor, the last before rendering."""
    return {key: _redacted(key, value) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Return a text of ours without what looks like a number, a CVC beside one, or a password in an address."""
    return redact_numbers(_URL_PASSWORD.sub(r"\1:***@", text), REDACTED)


def redacted_trace(error: BaseException) -> str:
    """Return the whole trace of an error, as it may be shown."""
    return printable(redact_text("".join(traceback.format_exception(error))))


def printable(text: str, keep: str = "\n\t") -> str:
    """Return a text with what a terminal would obey instead of showing, as an escape sequence, written out."""
    if text.isprintable():
        return text
    shown = (one if one.isprintable() or one in keep else _written_out(one) for one in text)
    return "".join(shown)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode()


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
            return counted(len(value), "byte")
        case None | bool() | float():
            return value
        case int():
            return REDACTED if redact_text(str(value)) == REDACTED else value
        case _:
            return printable(redact_text(str(value)))
