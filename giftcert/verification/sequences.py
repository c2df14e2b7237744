"""Invariant 6: sequences have no gap, and the stream tells under each number what the database recorded."""

from collections.abc import Iterable, Iterator

from giftcert.contracts.envelope_reading import digest_of
from giftcert.storage.verification.pages import CertificateRow, RecordedEvent
from giftcert.storage.verification.told import Told
from giftcert.verification.moment import Moment
from giftcert.verification.violations import Violation

RULE_MISSING, RULE_UNPUBLISHED = "missingOnStream", "unpublished"


class SequenceCheck:
    """Follows the events of one certificate as recorded, in sequence, beside what the stream told of it."""

    def __init__(self, certificate: CertificateRow, told: Iterable[Told], moment: Moment) -> None:
        self._certificate = certificate
        self._moment = moment
        self._told: dict[int | None, list[Told]] = {}
        for one in told:
            self._told.setdefault(one.sequence, []).append(one)
        self._last = 0
        self.is_whole = True

    def take(self, event: RecordedEvent) -> Iterator[Violation]:
        """Yield what is wrong about the next event."""
        sequence = event.stored.sequence or 0
        if sequence != self._last + 1:
            yield self._gap(sequence)
        self._last = sequence
        copies = self._told.pop(sequence, [])
        if copies:
            yield from self._other_contents(event, copies)
        else:
            yield from not_told(event, self._certificate.certificate_id, "certificate", self._moment)

    def end(self) -> Iterator[Violation]:
        """Yield what is wrong when there are no more events."""
        if self._last != self._certificate.sequence:
            yield self._gap(self._certificate.sequence + 1)
        for sequence in self._told:
            self.is_whole = False
            yield self._violation(
                "toldUnrecorded",
                str(sequence),
                "an event that the database has",
                f"sequence {sequence} on the stream",
            )

    def _gap(self, found: int) -> Violation:
        self.is_whole = False
        expected = (
            f"sequence {self._last + 1}" if found != self._certificate.sequence + 1 else f"{found - 1} events"
        )
        seen = f"sequence {found}" if found != self._certificate.sequence + 1 else f"the last is {self._last}"
        return self._violation("gap", str(self._last + 1), expected, seen)

    def _other_contents(self, event: RecordedEvent, copies: list[Told]) -> Iterator[Violation]:
        recorded = (event.stored.event_id, digest_of(event.stored))
        others = [one for one in copies if (one.event_id, one.digest) != recorded]
        if others:
            same_id = all(one.event_id == event.stored.event_id for one in others)
            seen = (
                "other content on the stream"
                if same_id
                else f"also event {others[-1].event_id} on the stream"
            )
            expected = f"event {event.stored.event_id} under sequence {event.stored.sequence}, as recorded"
            yield self._violation("otherContent", str(event.stored.sequence), expected, seen)

    def _violation(self, rule: str, about: str, expected: str, seen: str) -> Violation:
        return Violation(
            invariant=6,
            rule=rule,
            kind="certificate",
            subject=self._certificate.certificate_id,
            about=about,
            expected=expected,
            seen=seen,
        )


def not_told(event: RecordedEvent, subject: str, kind: str, moment: Moment) -> Iterator[Violation]:
    """Yield what is wrong about an event that is not on the stream: published and lost, or waiting for too long."""
    stored = event.stored
    if moment.must_be_told(event.published_at):
        yield Violation(
            invariant=6 if stored.certificate_id else 5,
            rule=RULE_MISSING,
            kind=kind,
            subject=subject,
            about=stored.event_id,
            expected=f"{stored.event_type} {f'of sequence {stored.sequence} ' * bool(stored.sequence)}on the stream",
            seen=f"none, though it was published at {event.published_at}",
        )
    elif event.published_at is None and stored.recorded_at < moment.patient_until:
        yield Violation(
            invariant=5,
            rule=RULE_UNPUBLISHED,
            kind=kind,
            subject=subject,
            about=stored.event_id,
            expected=f"{stored.event_type} on the stream within a short time",
            seen=f"it waits since {stored.recorded_at}",
        )
