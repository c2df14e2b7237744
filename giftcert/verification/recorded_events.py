"""Invariants 2, 3, 5, 6 and 8 of recorded events: in sequence, as the stream has them, and as the domain folds them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from giftcert.contracts.notices import InvariantViolated
from giftcert.contracts.payload import public_event
from giftcert.contracts.stream import StoredEvent, digest_of
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.disclosure import refuse_disclosure
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import FOR_SALE, CertificateState, Status
from giftcert.storage.verification.checks import Rule, Violation
from giftcert.storage.verification.session import CertificateRow, RecordedEvent, Session
from giftcert.verification.audit_chain import ChainCheck
from giftcert.verification.pace import Pace
from giftcert.verification.secrets import SecretWatch
from giftcert.verification.violations import Findings

LONGEST_TRANSACTION = timedelta(minutes=1)
"""What was recorded longer ago than this is committed or never will be."""
HELD_TWICE = Rule(2, "heldTwice")
RESOLVED_TWICE = Rule(2, "resolvedTwice")
ISSUED_TWICE = Rule(3, "issuedTwice")
UNREADABLE = Rule(5, "unreadable")
EVENT_DIFFERS = Rule(5, "eventDiffers")
FOLD_DIFFERS = Rule(5, "foldDiffers")
UNPUBLISHED = Rule(5, "unpublished")
MISSING_WITHOUT_SEQUENCE = Rule(5, "missingOnStream")
MISSING = Rule(6, "missingOnStream")
GAP = Rule(6, "gap")
OTHER_CONTENT = Rule(6, "otherContent")
DISCLOSURE_NOT_ALLOWED = Rule(8, "disclosureNotAllowed")
_MAY_BE_RELEASED = frozenset({Status.RESERVED, Status.ORDERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoff:
    """Instants by the clock of PostgreSQL.

    An event that left the outbox between ``read_since`` (``None``: ever) and ``read_until`` is among what was read of
    the stream. What was recorded or made pending before ``patient_until`` should be published or decided by now.
    """

    read_until: datetime
    read_since: datetime | None
    patient_until: datetime

    def must_be_read(self, event: RecordedEvent) -> bool:
        """Return whether an event was on the stream before that was read: recorded, and not waiting any more."""
        recorded_at = event.stored.recorded_at
        if event.waits or event.waited or recorded_at >= self.read_until - LONGEST_TRANSACTION:
            return False
        return self.read_since is None or recorded_at > self.read_since


async def look_at_certificates(
    session: Session,
    page: Sequence[CertificateRow],
    cutoff: Cutoff,
    secrets: SecretWatch,
    chain: ChainCheck,
    findings: Findings,
    pace: Pace,
) -> None:
    """Follow the events of each in sequence, and look for secrets in them."""
    folds = {row.certificate_id: FoldCheck(row) for row in page}
    taken = 0
    async for event in session.events(list(folds)):
        stored, certificate_id = event.stored, event.stored.certificate_id or ""
        findings.add_all(folds[certificate_id].take(stored))
        look_at_event(event, cutoff, secrets, chain, findings)
        about = f"the {stored.event_type} of sequence {stored.sequence}"
        secrets.look_for_cvc(stored.payload, certificate_id, about)
        taken += 1
        await pace.pause()
    for fold in folds.values():
        findings.add_all(fold.end())
    findings.check(len(page), 2, 3, 4, 5)
    findings.check(taken, 6)


def look_at_event(
    event: RecordedEvent, cutoff: Cutoff, secrets: SecretWatch, chain: ChainCheck, findings: Findings
) -> None:
    """Compare an event with the stream and the audit chain.

    Look for numbers in it too, unless that was done when it was read on the stream.
    """
    stored = event.stored
    kind = "certificate" if stored.certificate_id else "event"
    subject, about = stored.certificate_id or stored.event_id, stored.event_type
    if stored.sequence:
        about += f" of sequence {stored.sequence}"
    if not event.published:
        findings.check(1, 7)
        secrets.look(stored.payload, kind, subject, about)
    differs = chain.differs(event, committed=stored.recorded_at < cutoff.read_until - LONGEST_TRANSACTION)
    for rule, expected, seen in (*_beside_stream(event, cutoff), *differs):
        broken = replace(rule, kind=kind).broken(subject, stored.event_id, f"{about} {expected}", seen)
        findings.add(broken)


def _beside_stream(event: RecordedEvent, cutoff: Cutoff) -> Iterator[tuple[Rule, str, str]]:
    """Yield what is wrong about an event on the stream: it differs, it was lost there, or it waits for too long."""
    stored = event.stored
    if event.published:
        if any(digest != digest_of(stored) for digest in event.published):
            yield OTHER_CONTENT, "on the stream as recorded", "other content"
    elif cutoff.must_be_read(event):
        rule = MISSING if stored.sequence else MISSING_WITHOUT_SEQUENCE
        yield rule, "on the stream", f"none, though it left the outbox, recorded at {stored.recorded_at}"
    elif event.waits and stored.recorded_at < cutoff.patient_until:
        yield UNPUBLISHED, "on the stream within a short time", f"it waits since {stored.recorded_at}"


class Shown(NamedTuple):  # a tuple, as millions are made
    """What the stream says of a certificate, and the database too. Amounts in minor units."""

    status: str
    refund_state: str
    balance: int | None
    held: int | None

    def __str__(self) -> str:
        return f"{self.status}, balance {self.balance}, held {self.held}, refund state {self.refund_state}"


class FoldCheck:
    """Follows the public events of one certificate, and folds them as long as none is missing.

    The nominal, of which no event tells the change, is as each says.
    """

    def __init__(self, certificate: CertificateRow) -> None:
        self._certificate = certificate
        self._state = CertificateState(
            certificate_id=certificate.certificate_id,
            product=certificate.product,
            currency=certificate.currency,
            nominal=0,
        )
        self._last = 0
        self._is_whole = True
        self._issued = False
        self._differed = False

    def take(self, event: StoredEvent) -> Iterator[Violation]:
        """Yield what is wrong about the next event."""
        sequence = event.sequence or 0
        if sequence != self._last + 1:
            yield self._gap(f"sequence {self._last + 1}", f"sequence {sequence}")
        self._last = sequence
        if self._is_whole:
            yield from self._fold(event)

    def end(self) -> Iterator[Violation]:
        """Yield what is wrong when there are no more events."""
        row = self._certificate
        if self._last != row.sequence:
            yield self._gap(f"events up to {row.sequence}", f"the last is {self._last}")
        stored, folded = Shown(row.shown_status, row.refund_state, row.balance, row.held), self._shown()
        if self._is_whole and folded != stored:
            expected = f"{folded}, as its events fold"
            yield FOLD_DIFFERS.broken(row.certificate_id, "", expected, f"{stored} in the database")

    def _gap(self, expected: str, seen: str) -> Violation:
        self._is_whole = False
        return GAP.broken(self._certificate.certificate_id, str(self._last + 1), expected, seen)

    def _fold(self, event: StoredEvent) -> Iterator[Violation]:
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
        if event.event_type == e.CvcDisclosed.type and refuse_disclosure(self._state) is not None:
            expected = f"no disclosure of a certificate that is {self._shown()}"
            yield self._broken(DISCLOSURE_NOT_ALLOWED, event, expected, "its CVC was disclosed")
        # An alert about the certificate says how the database stood when that was wrong.
        if event.event_type != InvariantViolated.type:
            yield from self._is_as_folded(event)

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
