"""Sensitive text: numbers, CVCs, e-mail addresses and phone numbers, however they are written.

The one check of every free text: whoever lets a text in asks here, and so does ``verify`` of what it finds. Digits of
any script are digits, and up to four characters that are neither letters nor digits may stand between two of them.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from stdnum import luhn

NUMBER_LENGTHS = range(12, 20)
"""Of certificate numbers, as products may have them; cards have 13 to 19 digits."""
REFERENCES = frozenset({"orderId", "paymentId", "paymentIds", "customerId"})
"""Partners number these: only an address, a phone number written as one, or a number of ours counts in them."""
_USUAL_LENGTH = 16
_RUN = re.compile(rf"\d(?:[\W_]{{0,4}}\d){{{NUMBER_LENGTHS[0] - 1},}}")
# Of another length only as a word of its own: ids are often instants in milliseconds.
_CARD = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
_CVC = re.compile(r"(?:cvc|cvv|csc)2?[\W_]{0,4}\d{3,8}(?!\d)", re.IGNORECASE)
_UUID_FORM = r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[1-8][0-9a-f]{3}\1[89ab][0-9a-f]{3}\1[0-9a-f]{12}"
_WHOLE_UUID = re.compile(_UUID_FORM.replace("-?", "-"))
# One of digits alone, in a longer text, could be anything.
_UUID = re.compile(rf"(?<![0-9a-z])(?=[0-9-]*[a-f]){_UUID_FORM}(?![0-9a-z])", re.IGNORECASE)
# Our own texts say when; a number of ours that looks like one is still a candidate.
_INSTANT = re.compile(
    r"(?<!\d)20\d\d-[01]\d-[0-3]\d[T ][0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d(?::?\d\d)?)(?!\d)"
)
_ADDRESS = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")
_APART = r"[ ().\-/]"  # between the digits of a phone number
_PHONE = re.compile(
    rf"\+(?:{_APART}{{0,3}}\d){{9,15}}(?!\d)"  # with the code of a country
    rf"|(?<!\d)[78](?={_APART})(?:{_APART}{{0,3}}\d){{10}}(?!\d)"  # with Russia's, or its 8
    rf"|(?<![\d-])\(?\d{{3}}{_APART}{{1,2}}\d{{3}}{_APART}\d{{2}}{_APART}?\d{{2}}(?!\d)"  # without
)
_BARE_PHONE = re.compile(r"(?<![\w-])(?:[78]\d{10}|9\d{9})(?![\w-])")
# What an ordinary text lacks: an at sign, the name of a CVC, nine digits.
_HINT = re.compile(r"@|c[vs][cv]|\d(?:\D*\d){8}", re.IGNORECASE)
_WORD = re.compile(r"(?<![\w.-])\d{3,8}(?![\w-])(?!\.\d)")
_NO_TEXT = re.compile(r"(?:At|_at|Until|_until|Url|_url)$|^since$")
_IDS = re.compile(r"Ids?$")
_COUNTS = re.compile(
    "amount|attempts?|available|certificateLines|count|invariant|line(?:K|_k)ey|offset|partition|payments|threshold"
)


class _Characters(dict[int, str]):
    """Maps every character to one that says the same in ASCII, where there is one: full-width letters, any digits."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.digit(character, None)
        same = unicodedata.normalize("NFKC", character) if digit is None else str(digit)
        plain = same if len(same) == 1 else character
        if len(self) < 10_000:
            self[code] = plain
        return plain


_PLAIN = _Characters()


def plain(text: str) -> str:
    """Return a text of the same length with digits and signs of every script as ASCII has them."""
    return text if text.isascii() else text.translate(_PLAIN)


def is_sensitive(text: str) -> bool:
    """Return whether a text holds what looks like a number, a CVC named as one, an address or a phone number."""
    return _may_matter(text) and any(_sensitive_spans(text))


def is_sensitive_reference(text: str) -> bool:
    """Return whether what a partner calls a thing of its own is an address, or a phone number written as one."""
    return _may_matter(text) and any(_found(text, _ADDRESS, _PHONE))


def number_candidates(text: str) -> set[str]:
    """Return the digits of all that could be a number of ours: anywhere in a run, with a right check digit."""
    if len(text) < NUMBER_LENGTHS[0] or not _may_matter(text):
        return set()
    runs = (_digits(one[0]) for one in _RUN.finditer(_without_uuids(text)))
    return {one for run in runs for length in NUMBER_LENGTHS for one in _windows(run, length)}


def redact_numbers(text: str, instead: str) -> str:
    """Return a text without numbers and CVCs; a run of digits that holds a number is taken out whole."""
    return _replaced(text, [*_number_spans(text), *_found(text, _CVC)], instead)


def redact_sensitive(text: str, instead: str) -> str:
    """Return a text without numbers, CVCs, addresses and phone numbers."""
    return _replaced(text, _sensitive_spans(text), instead)


def texts_of(value: Any, name: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Yield every text within JSON with the name of its field, but instants and addresses of ours.

    Names of fields are texts too, and integers, but for amounts and counts.
    """
    match value:
        case dict():
            for key, one in value.items():
                if len(key) >= NUMBER_LENGTHS[0]:
                    yield "", key
                yield from texts_of(one, key)
        case list() | tuple():
            for one in value:
                yield from texts_of(one, name)
        case str() if not _NO_TEXT.search(name):
            yield name, value
        case int() if not isinstance(value, bool) and not _COUNTS.fullmatch(name):
            yield name, str(value)
        case _:
            return


def cvc_words(name: str, text: str) -> list[str]:
    """Return the words of a text that could be a CVC, which is too short to be known otherwise; ids say none."""
    return [] if _IDS.search(name) else _WORD.findall(plain(text))


def _may_matter(text: str) -> bool:
    if _HINT.search(plain(text)) is None:
        return False
    return _WHOLE_UUID.fullmatch(text) is None


def _sensitive_spans(text: str) -> Iterator[tuple[int, int]]:
    yield from _found(text, _ADDRESS, _PHONE, _BARE_PHONE, _CVC)
    yield from _number_spans(text)


def _found(text: str, *patterns: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    searched = _without_uuids(text)
    for pattern in patterns:
        yield from (one.span() for one in pattern.finditer(searched))


def _number_spans(text: str) -> Iterator[tuple[int, int]]:
    searched = _INSTANT.sub(lambda one: "x" * len(one[0]), _without_uuids(text))
    for run in _RUN.finditer(searched):
        if any(_windows(_digits(run[0]), _USUAL_LENGTH)):
            yield run.span()
    for card in _CARD.finditer(searched):
        if luhn.is_valid(_digits(card[0])):
            yield card.span()


def _without_uuids(text: str) -> str:
    """Return the plain text, of the same length, without ids that are mostly digits now and then."""
    return _UUID.sub(lambda one: "x" * len(one[0]), plain(text))


def _digits(run: str) -> str:
    return "".join(filter(str.isdigit, run))


def _windows(digits: str, length: int) -> Iterator[str]:
    for start in range(len(digits) - length + 1):
        window = digits[start : start + length]
        if luhn.is_valid(window):
            yield window


def _replaced(text: str, spans: Iterable[tuple[int, int]], instead: str) -> str:
    """Put ``instead`` in the place of spans, of which some may overlap."""
    parts, behind = [], 0
    for start, end in sorted(spans):
        if start >= behind:
            parts += [text[behind:start], instead]
        behind = max(behind, end)
    return "".join([*parts, text[behind:]])
