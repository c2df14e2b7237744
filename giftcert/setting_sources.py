"""Where each setting comes from: the environment or a line of ``.env``; and names there that are no setting."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import parse_stream

from giftcert.settings import Settings

_PREFIX = "GIFTCERT_"
_KNOWN = {_PREFIX + name.upper() for name in Settings.model_fields}
_NOT_OF_SETTINGS = {"GIFTCERT_BUILD_ID", "GIFTCERT_LIFELINE"}
"""An image's own name, and what ties parts of the embedded stack to who started them."""


@dataclass(frozen=True, slots=True)
class Given:
    """A variable that is set, as in ``GIFTCERT_API_PORT``, and where: ``environment`` or ``.env, line 3``."""

    variable: str
    place: str


def given_settings() -> Mapping[str, Given]:
    """Return the settings that are set, by their names such as ``api_port``; the environment comes first."""
    known = (one for one in _all_given() if one.variable in _KNOWN)
    return {one.variable.removeprefix(_PREFIX).lower(): one for one in known}


def unknown_settings() -> list[str]:
    """Return a sentence about each variable that looks like a setting and is none.

    It is no error: after a roll-back the settings may be those of a later version.
    """
    unknown = {one.variable: one for one in _all_given() if one.variable not in _KNOWN | _NOT_OF_SETTINGS}
    return [_sentence(one) for one in unknown.values()]


def _sentence(given: Given) -> str:
    near = get_close_matches(given.variable, _KNOWN, n=1, cutoff=0.8)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{given.variable} ({given.place}) is no setting of this version{hint}"


def _all_given() -> Iterator[Given]:
    """Yield what is set and not empty, what counts more after what counts less."""
    path = Path(str(Settings.model_config["env_file"]))
    if path.is_file():
        with path.open(encoding=Settings.model_config["env_file_encoding"]) as lines:
            for binding in parse_stream(lines):
                if binding.key and binding.value and binding.key.upper().startswith(_PREFIX):
                    yield Given(binding.key.upper(), f"{path}, line {binding.original.line}")
    for name, value in os.environ.items():
        if value and name.upper().startswith(_PREFIX):
            yield Given(name.upper(), "environment")
