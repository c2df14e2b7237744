"""Invariant 7: numbers and CVCs in clear. A number is known by its fingerprint, a CVC by opening the seal of its own.

Texts are read by the check that whoever lets them in asks (``sensitive_text``): digits that are a number of ours are
found wherever and however they are written. A CVC is too short for that: any six digits are somebody's. It is looked
for in what is said of its own certificate, as a word of its own, and not where amounts, counts, instants and ids stand.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from giftcert.security.data_keys import Purpose, SealError
from giftcert.sensitive_text import cvc_words, number_candidates, plain, texts_of
from giftcert.storage.data_keys import Seals
from giftcert.storage.quarantine import owner_at
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.session import ANSWERED, SEALED_RECORDS, Session
from giftcert.verification.violations import Findings

NUMBER_IN_CLEAR = Rule(7, "numberInClear")
CVC_IN_CLEAR = Rule(7, "cvcInClear")
RECORD_UNSEALED = Rule(7, "recordUnsealed", "input")
_EXPECTED = "no secret in clear"
# Everything but letters and digits may stand between the digits of a number.
_ONLY_DIGITS = bytes(b"0"[0] if one in b"0123456789" else b" "[0] for one in range(256))
_SEPARATORS = bytes(one for one in range(128) if not chr(one).isalnum())
# As jsonb writes an amount: nearly every payload has one.
_WORD_BESIDE_AMOUNTS = re.compile(r'(?<![\w.-])(?<!"amount": )\d{3,8}(?![\w-])(?!\.\d)')
# An input is processed under its true ids, which stored states and lines therefore hold; no event does.
_ID = re.compile(r"_ids?$|^(?:paying|identity|foreign|refunds|waits_for|counted)")


class NumberSearch:
    """Finds what can be certificate numbers in any bytes, nearly as fast as they can be read."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self._lengths = frozenset(lengths)
        shortest = min(lengths, default=16)
        self._run = b"0" * shortest
        self.digits = rf"[0-9](?:[^0-9A-Za-z]{{0,4}}[0-9]){{{shortest - 1},}}"

    def candidates(self, data: bytes, *, but_ids: bool = False) -> set[str]:
        """Return every run of as many digits as a number has, whose last is its check digit; of JSON in any text."""
        if not self._may_hold_number(data):
            return set()
        texts = texts_of(_json(data))
        found = (number_candidates(text) for name, text in texts if not (but_ids and _ID.search(name)))
        return {number for numbers in found for number in numbers if len(number) in self._lengths}

    def _may_hold_number(self, data: bytes) -> bool:
        if b"\\" in data:  # JSON may have escaped anything
            return True
        if not data.isascii():
            data = plain(data.decode(errors="replace")).encode()
        return self._run in data.translate(_ONLY_DIGITS, _SEPARATORS)


def may_hold_cvc(payload: str) -> bool:
    """Return whether it is worth reading a payload for words of a few digits: quick, and seldom true."""
    return not payload.isascii() or _WORD_BESIDE_AMOUNTS.search(payload) is not None


def short_words(payload: str) -> frozenset[str]:
    """Return the words of three to eight digits that a payload says where a CVC could be said."""
    return frozenset(word for one in texts_of(_json(payload.encode())) for word in cvc_words(*one))


def _json(data: bytes) -> object:
    """Return what JSON says; what is none is a text."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data.decode(errors="replace")


class SecretWatch:
    """Collects what could be a secret, and asks the database in batches: of a page, of what ``flush`` ends."""

    def __init__(self, session: Session, seals: Seals, findings: Findings, lengths: tuple[int, ...]) -> None:
        self._search = NumberSearch(lengths)
        self._session = session
        self._seals = seals
        self._findings = findings
        self._numbers: dict[bytes, tuple[str, str, str]] = {}  # where each stands: kind, subject, about
        self._words: list[tuple[str, frozenset[str], str]] = []

    def look(self, text: str | bytes, kind: str, subject: str, about: str, *, but_ids: bool = False) -> None:
        """Look for numbers in a text that stands in this place."""
        data = text if isinstance(text, bytes) else text.encode()
        for number in self._search.candidates(data, but_ids=but_ids):
            self._numbers.setdefault(self._seals.keyring.fingerprint(number), (kind, subject, about))

    def look_for_cvc(self, payload: str, certificate_id: str, about: str) -> None:
        """Look for the CVC of a certificate in what is said of it."""
        if may_hold_cvc(payload) and (words := short_words(payload)):
            self._words.append((certificate_id, words, about))

    async def flush(self) -> None:
        """Add to the findings which suspects are numbers of ours; open the seals of the few that could be CVCs."""
        numbers, self._numbers = self._numbers, {}
        for fingerprint in await self._session.known(list(numbers)) if numbers else ():
            kind, subject, about = numbers[fingerprint]
            seen = f"a certificate's number at {about}"
            self._findings.add(replace(NUMBER_IN_CLEAR, kind=kind).broken(subject, about, _EXPECTED, seen))
        suspects, self._words = self._words, []
        sealed = await self._session.sealed_cvcs([one for one, _, _ in suspects]) if suspects else {}
        for certificate_id, words, about in suspects:
            if certificate_id not in sealed:
                continue
            owner = bytes.fromhex(certificate_id.replace("-", ""))
            cvc = await self._seals.open(sealed[certificate_id], Purpose.CVC, owner)
            if cvc.decode() in words:
                seen = f"its CVC at {about}"
                self._findings.add(CVC_IN_CLEAR.broken(certificate_id, about, _EXPECTED, seen))

    async def look_at(self, texts: str, of: Sequence[str] | datetime, *, but_ids: bool = False) -> None:
        """Look for numbers in stored texts, within a snapshot."""
        async for kind, subject, about, text in self._session.rows(texts, of, self._search.digits):
            self.look(text, kind, subject, about, but_ids=but_ids)

    async def look_at_answers(self, since: datetime) -> None:
        """Look for CVCs in the answers that idempotency keys remember, within a snapshot."""
        async for certificate_id, about, answer in self._session.rows(ANSWERED, since):
            self.look_for_cvc(answer, certificate_id, about)

    async def look_at_seals(self, since: datetime) -> None:
        """Look for quarantined records that are not sealed, within a snapshot."""
        purposes = (Purpose.QUARANTINED_KEY, Purpose.QUARANTINED_VALUE)
        async for topic, partition, offset, *sealed in self._session.rows(SEALED_RECORDS, since):
            try:
                for one, purpose in zip(sealed, purposes, strict=True):
                    if one is not None:
                        await self._seals.open(one, purpose, owner_at((topic, partition, offset)))
            except SealError:
                expected = f"the quarantined record at offset {offset} sealed by our keyring"
                place, about = f"{topic}-{partition}", f"offset {offset}"
                self._findings.add(RECORD_UNSEALED.broken(place, about, expected, "it does not open"))
