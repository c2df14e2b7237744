"""Texts of others as Temporal's Web UI shows them, which reads details and summaries as Markdown."""

import json
import re

from giftcert.redaction import REDACTED, printable
from giftcert.sensitive_text import is_sensitive

_ORDINARY = re.compile(r"[A-Za-z0-9-]+")
_LONGEST_NAME = 50  # of a summary; with four bytes a character it fits the server's limit of 400 bytes
_KEYWORD_BYTES = 2_000  # the server takes 2,048 of a search attribute, as JSON in ASCII


def literal(text: str) -> str:
    """Return Markdown that shows a text as it stands: no link, image or markup of others is obeyed."""
    if _ORDINARY.fullmatch(text):
        return text
    shown = printable(text, keep="")
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}" if len(fence) > 1 else f"`{shown}`"


def brief(text: str) -> str:
    """Return the same of a name that stands in a summary, which has to be short."""
    return literal(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…")


def unrevealing(text: str | None) -> str | None:
    """Return a name for readers of a history, unless it looks like a number, an address or a phone number."""
    return REDACTED if text is not None and is_sensitive(text) else text


def keyword(text: str) -> str:
    """Return as much of a text as a search attribute can hold: the whole, but of the widest scripts."""
    while len(json.dumps(text)) > _KEYWORD_BYTES:
        text = text[:-1]
    return text
