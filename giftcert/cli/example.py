"""What `.env.example` holds: every setting with its meaning and its default, commented out."""

import json
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

from giftcert.settings import Settings

_HEAD = """\
# Every setting, with its default. Copy to .env and take out the '#' of what shall differ.
# Nothing set means embedded: an address that is set makes that part external, and asks for keys of your own.
# Durations are ISO 8601 (PT30M, P7D) or seconds; lists are JSON.
# Temporal's TLS and API key: as in Temporal's own environment configuration (TEMPORAL_TLS, TEMPORAL_API_KEY, ...).
# Written by `giftcert config --example`.
"""


def example() -> str:
    """Return the text of `.env.example`."""
    return _HEAD + "".join(_entry(name, field) for name, field in Settings.model_fields.items())


def _entry(name: str, field: Any) -> str:  # noqa: ANN401 - pydantic's own
    words = field.description or ""
    comment = "".join(f"# {line}\n" for line in textwrap.wrap(words, 100))
    return f"\n{comment}#GIFTCERT_{name.upper()}={_as_variable(field.default)}\n"


def _as_variable(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return _duration(value)
        case tuple() | list() | dict():
            return json.dumps(value)
        case Path():
            return value.as_posix()
        case _:
            return str(value)


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    if seconds and seconds % 86_400 == 0:
        return f"P{seconds // 86_400}D"
    if seconds and seconds % 3_600 == 0:
        return f"PT{seconds // 3_600}H"
    if seconds and seconds % 60 == 0:
        return f"PT{seconds // 60}M"
    return f"PT{seconds}S"
