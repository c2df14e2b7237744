"""Invariants 2, 3, 5 and 8: what the domain's own fold of a certificate's public events says."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import msgspec

from giftcert.contracts.notices import InvariantViolated
from giftcert.contracts.payload import public_event
from giftcert.contracts.stream import StoredEvent
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.disclosure import refuse_disclosure
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import FOR_SALE, CertificateState, Status
from giftcert.storage.verification.checks import Rule, Violation
from giftcert.storage.verification.pages import CertificateRow

HELD_TWICE = Rule(2, "heldTwice", "certificate")
RESOLVED_TWICE = Rule(2, "resolvedTwice", "certificate")
ISSUED_TWICE = Rule(3, "issuedTwice", "certificate")
UNREADABLE = Rule(5, "unreadable", "certificate")
EVENT_DIFFERS = Rule(5, "eventDiffers", "certificate")
FOLD_DIFFERS = Rule(5, "foldDiffers", "certificate")
DISCLOSURE_NOT_ALLOWED = Rule(8, "disclosureNotAllowed", "certificate")
_MAY_BE_RELEASED = frozenset({Status.RESERVED, Status.ORDERED})


class Shown(NamedTuple):  # a tuple, as millions are made
    """What the stream says of a certificate, and the database too. Amounts in minor units."""

    status: str
    refund_state: str
    balance: int | None
    held: int | None

    def __str__(self) -> str:
        return f"{self.status}, balance {self.balance}, held {self.held}, refund state {self.refund_state}"


class FoldCheck:
    """Folds the public events of one certificate; the nominal, of which none tells the change, is as each says."""

    def __init__(self, certificate: CertificateRow) -> None:
        self._certificate = certificate
        self._state = CertificateState(
            certificate_id=certificate.certificate_id,
            product=certificate.product,
            currency=certificate.currency,
            nominal=0,
        )
        self._issued = False
        self._differed = False

    def take(self, event: StoredEvent) -> Iterator[Violation]:
        """Yield what is wrong about the next event."""
        try:
            decoded = public_event(event.event_type, event.payload)
        except msgspec.DecodeError as error:
            yield self._broken(UNREADABLE, event, "a payload of its type", str(error))
            return
        if decoded is not None:
            yield from self._may_follow(event, decoded)
            nominal = event.nominal or 0
            state = self._state if self._state.nominal == nominal else replace(self._state, nominal=nominal)
            self._state = evolve(state, decoded, event.occurred_at)
        if event.event_type == e.CvcDisclosed.type:
            yield from self._may_disclose(event)
        # An alert about the certificate says how the database stood when that was wrong.
        if event.event_type != InvariantViolated.type:
            yield from self._is_as_folded(event)

    def end(self) -> Iterator[Violation]:
        """Yield how the database differs from what all events say."""
        row = self._certificate
        stored, folded = Shown(row.shown_status, row.refund_state, row.balance, row.held), self._shown()
        if folded != stored:
            expected = f"{folded}, as its events fold"
            yield FOLD_DIFFERS.broken(row.certificate_id, "", expected, f"{stored} in the database")

    def _may_follow(self, event: StoredEvent, decoded: e.PublicEvent) -> Iterator[Violation]:
        """Reserved from the pool only, ordered from there or a reservation, released from either; issued once."""
        status = self._state.status
        match decoded:
            case e.Reserved() if status != Status.AVAILABLE:
                yield self._broken(HELD_TWICE, event, "reserved when available", f"reserved when {status}")
            case e.Ordered() if status not in FOR_SALE:
                yield self._broken(HELD_TWICE, event, "ordered when free", f"ordered when {status}")
            case e.Released() if status not in _MAY_BE_RELEASED:
                yield self._broken(RESOLVED_TWICE, event, "released when held", f"released when {status}")
            case e.Issued():
                if self._issued or status != Status.ORDERED:
                    seen = "issued again" if self._issued else f"issued when {status}"
                    yield self._broken(ISSUED_TWICE, event, "issued once, when ordered", seen)
                self._issued = True
            case _:
                return

    def _may_disclose(self, event: StoredEvent) -> Iterator[Violation]:
        if refuse_disclosure(self._state) is not None:
            expected = f"no disclosure of a certificate that is {self._shown()}"
            yield self._broken(DISCLOSURE_NOT_ALLOWED, event, expected, "its CVC was disclosed")

    def _is_as_folded(self, event: StoredEvent) -> Iterator[Violation]:
        """The first difference is reported; what follows from it is not."""
        recorded = Shown(event.status or "", event.refund_state or "", event.balance, event.held)
        folded = self._shown()
        if not self._differed and folded != recorded:
            self._differed = True
            yield self._broken(EVENT_DIFFERS, event, f"{folded}, as the events up to it fold", str(recorded))

    def _shown(self) -> Shown:
        state = self._state
        return Shown(state.shown_status, state.refund_state.value, state.balance, state.held)

    def _broken(self, rule: Rule, event: StoredEvent, expected: str, seen: str) -> Violation:
        expected = f"{event.event_type} of sequence {event.sequence}: {expected}"
        return rule.broken(self._certificate.certificate_id, str(event.sequence), expected, seen)
