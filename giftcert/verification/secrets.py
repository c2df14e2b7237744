"""Invariant 7: numbers and CVCs in clear. A number is known by its fingerprint, a CVC by opening the seal of its own.

Digits that are a number of ours are found wherever they stand, with blanks or hyphens between them or not. A CVC is
too short for that: any six digits are somebody's. It is looked for in what is said of its own certificate, as a word of
its own, and not where amounts, counts, instants and ids stand.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from stdnum import luhn

_ONLY_DIGITS = bytes(b"0"[0] if one in b"0123456789" else b" "[0] for one in range(256))
_SEPARATORS = b" -"
_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # mostly digits now and then
_WORD = re.compile(r"(?<![\w.-])\d{3,8}(?![\w-])(?!\.\d)")
# As jsonb writes an amount: nearly every payload has one.
_WORD_BESIDE_AMOUNTS = re.compile(r'(?<![\w.-])(?<!"amount": )\d{3,8}(?![\w-])(?!\.\d)')
_NO_SECRET = re.compile(r"(?:Ids?|At|Until|Url)$|^(?:since|webUrl)$")
_COUNTS = frozenset(
    {"amount", "offset", "partition", "count", "attempts", "attempt", "available", "threshold"}
)


class NumberSearch:
    """Finds what can be certificate numbers in any bytes, nearly as fast as they can be read."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self._lengths = lengths
        self._shortest = min(lengths, default=16)
        self._run = b"0" * self._shortest
        self._digits = re.compile(rb"\d(?:[ -]?\d){%d,}" % (self._shortest - 1))

    @property
    def shortest(self) -> int:
        """The fewest digits that a number has."""
        return self._shortest

    def candidates(self, data: bytes) -> set[str]:
        """Return every run of as many digits as a number has, whose last is its check digit."""
        if self._run not in data.translate(_ONLY_DIGITS, _SEPARATORS):
            return set()
        found: set[str] = set()
        for run in self._digits.findall(_UUID.sub(b"", data)):
            digits = run.translate(None, _SEPARATORS).decode()
            found.update(self._windows(digits))
        return found

    def _windows(self, digits: str) -> Iterator[str]:
        for length in self._lengths:
            for start in range(len(digits) - length + 1):
                window = digits[start : start + length]
                if luhn.is_valid(window):
                    yield window


def may_hold_cvc(payload: str) -> bool:
    """Return whether it is worth reading a payload for words of a few digits: quick, and seldom true."""
    return _WORD_BESIDE_AMOUNTS.search(payload) is not None


def short_words(payload: str) -> frozenset[str]:
    """Return the words of three to eight digits that a payload says where a CVC could be said."""
    try:
        value = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        value = payload
    return frozenset(_words(value, ""))


def _words(value: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    match value:
        case dict():
            for key, one in value.items():
                yield from _words(one, key)
        case list():
            for one in value:
                yield from _words(one, name)
        case str() if not _NO_SECRET.search(name):
            yield from _WORD.findall(value)
        case int() if not isinstance(value, bool) and name not in _COUNTS:
            yield from _WORD.findall(str(value))
        case _:
            return
