"""Watch for numbers and CVCs in clear: collects what could be one, and asks the database in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from giftcert.storage.verification.secret_places import SecretPlaceRepository
from giftcert.verification.secrets import NumberSearch, short_words
from giftcert.verification.violations import Findings, Violation

AT_ONCE = 500


class Opener(Protocol):
    """What looking for secrets needs of the keyring."""

    def open(self, sealed: bytes, context: bytes) -> str:
        """Return what was sealed for this context."""

    def fingerprint(self, number: str) -> bytes:
        """Return the keyed hash under which a number is found again."""


@dataclass(frozen=True, slots=True)
class _Place:
    kind: str
    subject: str
    about: str


class NumberWatch:
    """Full numbers anywhere."""

    def __init__(self, search: NumberSearch, places: SecretPlaceRepository, opener: Opener) -> None:
        self._search = search
        self._places = places
        self._opener = opener
        self._suspects: dict[bytes, _Place] = {}

    def look(self, data: bytes, kind: str, subject: str, about: str) -> None:
        """Look at a text that stands in this place."""
        for number in self._search.candidates(data):
            self._suspects.setdefault(self._opener.fingerprint(number), _Place(kind, subject, about))

    async def flush(self, findings: Findings) -> None:
        """Tell those of the suspects that are numbers of ours."""
        if not self._suspects:
            return
        suspects, self._suspects = self._suspects, {}
        for fingerprint in await self._places.known(list(suspects)):
            place = suspects[fingerprint]
            findings.add(_in_clear(place, "numberInClear", "a certificate's number"))


class CvcWatch:
    """The CVC of a certificate in what is said of that certificate."""

    def __init__(self, places: SecretPlaceRepository, opener: Opener) -> None:
        self._places = places
        self._opener = opener
        self._suspects: list[tuple[str, frozenset[str], _Place]] = []

    def look(self, payload: str, certificate_id: str, about: str, kind: str = "certificate") -> None:
        """Look at a payload that is said of a certificate."""
        words = short_words(payload)
        if words:
            self._suspects.append((certificate_id, words, _Place(kind, certificate_id, about)))

    async def flush(self, findings: Findings) -> None:
        """Open the seals of the few suspects, and tell those that stand in clear."""
        suspects, self._suspects = self._suspects, []
        for start in range(0, len(suspects), AT_ONCE):
            await self._compare(suspects[start : start + AT_ONCE], findings)

    async def _compare(
        self, suspects: Sequence[tuple[str, frozenset[str], _Place]], findings: Findings
    ) -> None:
        sealed = await self._places.sealed_cvcs([certificate_id for certificate_id, _, _ in suspects])
        for certificate_id, words, place in suspects:
            if certificate_id in sealed:
                cvc = self._opener.open(sealed[certificate_id], _context(certificate_id))
                if cvc in words:
                    findings.add(_in_clear(place, "cvcInClear", "its CVC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watches:
    """Who looks for secrets, and where stored texts are read."""

    numbers: NumberWatch
    cvcs: CvcWatch
    places: SecretPlaceRepository


def _context(certificate_id: str) -> bytes:
    return bytes.fromhex(certificate_id.replace("-", ""))


def _in_clear(place: _Place, rule: str, what: str) -> Violation:
    return Violation(
        invariant=7,
        rule=rule,
        kind=place.kind,
        subject=place.subject,
        about=place.about,
        expected="no secret in clear",
        seen=f"{what} at {place.about}",
    )
