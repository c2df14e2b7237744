"""Invariant 7: numbers and CVCs in clear. A number is known by its fingerprint, a CVC by opening the seal of its own.

Digits that are a number of ours are found wherever they stand, with blanks or hyphens between them or not. A CVC is
too short for that: any six digits are somebody's. It is looked for in what is said of its own certificate, as a word of
its own, and not where amounts, counts, instants and ids stand.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from stdnum import luhn

from giftcert.security import Keyring, SealError
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.secret_places import SealedRecord, SecretPlaceRepository, StoredText
from giftcert.verification.violations import Findings

NUMBER_IN_CLEAR = Rule(7, "numberInClear", "certificate")
CVC_IN_CLEAR = Rule(7, "cvcInClear", "certificate")
RECORD_UNSEALED = Rule(7, "recordUnsealed", "input")
_EXPECTED = "no secret in clear"
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
        self.shortest = min(lengths, default=16)
        self._run = b"0" * self.shortest
        self._digits = re.compile(rb"\d(?:[ -]?\d){%d,}" % (self.shortest - 1))

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


class SecretWatch:
    """Collects what could be a secret, and asks the database in batches: of a page, of what ``flush`` ends."""

    def __init__(
        self, search: NumberSearch, places: SecretPlaceRepository, keyring: Keyring, findings: Findings
    ) -> None:
        self._search = search
        self._places = places
        self._keyring = keyring
        self._findings = findings
        self._numbers: dict[bytes, tuple[str, str, str]] = {}  # where each stands: kind, subject, about
        self._words: list[tuple[str, frozenset[str], str]] = []

    def look(self, text: str | bytes, kind: str, subject: str, about: str) -> None:
        """Look for numbers in a text that stands in this place."""
        for number in self._search.candidates(text if isinstance(text, bytes) else text.encode()):
            self._numbers.setdefault(self._keyring.fingerprint(number), (kind, subject, about))

    def look_for_cvc(self, payload: str, certificate_id: str, about: str) -> None:
        """Look for the CVC of a certificate in what is said of it."""
        if may_hold_cvc(payload) and (words := short_words(payload)):
            self._words.append((certificate_id, words, about))

    async def flush(self) -> None:
        """Add to the findings which suspects are numbers of ours; open the seals of the few that could be CVCs."""
        numbers, self._numbers = self._numbers, {}
        for fingerprint in await self._places.known(list(numbers)) if numbers else ():
            kind, subject, about = numbers[fingerprint]
            seen = f"a certificate's number at {about}"
            self._findings.add(replace(NUMBER_IN_CLEAR, kind=kind).broken(subject, about, _EXPECTED, seen))
        suspects, self._words = self._words, []
        sealed = await self._places.sealed_cvcs([one for one, _, _ in suspects]) if suspects else {}
        for certificate_id, words, about in suspects:
            context = bytes.fromhex(certificate_id.replace("-", ""))
            if certificate_id in sealed and self._keyring.open(sealed[certificate_id], context) in words:
                seen = f"its CVC at {about}"
                self._findings.add(CVC_IN_CLEAR.broken(certificate_id, about, _EXPECTED, seen))

    async def look_at_states(self, certificate_ids: list[str]) -> None:
        """Look for numbers in the stored states of certificates, within a snapshot."""
        self._look_at(await self._places.states(certificate_ids), "certificate")

    async def look_at_lines(self, order_ids: list[str]) -> None:
        """Look for numbers in the stored lines of orders, within a snapshot."""
        self._look_at(await self._places.lines(order_ids), "order")

    def _look_at(self, stored: list[StoredText], kind: str) -> None:
        for one in stored:
            self.look(one.said, kind, one.place, one.about)

    async def look_at_answers(self, since: datetime) -> None:
        """Look for secrets in the answers that idempotency keys remember, within a snapshot."""
        self._findings.check(await self._places.count_answers(since), 7)
        async for stored in self._places.answers(since):
            self.look(stored.said, "idempotency key", stored.place, stored.about)
            for certificate_id in _certificates_of(stored.answer):
                self.look_for_cvc(stored.answer, certificate_id, f"the answer of {stored.place}")
        await self.flush()

    async def look_at_quarantine(self, since: datetime) -> None:
        """Look for secrets in what is said of quarantined records, and for records that are not sealed."""
        async for record in self._places.quarantined(since):
            self._findings.check(1, 7)
            place, about = f"{record.topic}-{record.partition}", f"offset {record.offset}"
            self.look(record.said, "input", place, about)
            if not self._is_sealed(record):
                expected = f"the quarantined record at {about} sealed by our keyring"
                self._findings.add(RECORD_UNSEALED.broken(place, about, expected, "it does not open"))
        await self.flush()

    def _is_sealed(self, record: SealedRecord) -> bool:
        context = f"{record.topic}:{record.partition}:{record.offset}".encode()
        try:
            for sealed in (record.key, record.value):
                if sealed is not None:
                    self._keyring.open(sealed, context)
        except SealError:
            return False
        return True


class _Given(msgspec.Struct, rename="camel"):
    certificate_id: str | None = None


def _certificates_of(answer: str) -> list[str]:
    """The certificates that an answer is about: one, or one each of a list."""
    try:
        given = msgspec.json.decode(answer, type=_Given | list[_Given])
    except msgspec.DecodeError:
        return []
    every = given if isinstance(given, list) else [given]
    return [one.certificate_id for one in every if one.certificate_id is not None]
