"""Invariant 6: sequences have no gap, and the stream says under each number what the database recorded."""

from collections.abc import Iterable, Iterator

from giftcert.contracts.envelope import digest_of
from giftcert.storage.verification.pages import CertificateRow, RecordedEvent
from giftcert.storage.verification.published import StreamRecord
from giftcert.verification.cutoff import Cutoff
from giftcert.verification.violations import Violation

RULE_MISSING, RULE_UNPUBLISHED = "missingOnStream", "unpublished"


class SequenceCheck:
    """Follows the events of one certificate as recorded, in sequence, beside what the stream holds of it."""

    def __init__(
        self, certificate: CertificateRow, published: Iterable[StreamRecord], cutoff: Cutoff
    ) -> None:
        self._certificate = certificate
        self._cutoff = cutoff
        self._published: dict[int | None, list[StreamRecord]] = {}
        for one in published:
            self._published.setdefault(one.sequence, []).append(one)
        self._last = 0
        self.is_whole = True

    def take(self, event: RecordedEvent) -> Iterator[Violation]:
        """Yield what is wrong about the next event."""
        sequence = event.stored.sequence or 0
        if sequence != self._last + 1:
            yield self._gap(sequence)
        self._last = sequence
        copies = self._published.pop(sequence, [])
        if copies:
            yield from self._other_contents(event, copies)
        else:
            yield from not_published(event, self._certificate.certificate_id, "certificate", self._cutoff)

    def end(self) -> Iterator[Violation]:
        """Yield what is wrong when there are no more events."""
        if self._last != self._certificate.sequence:
            yield self._gap(self._certificate.sequence + 1)
        for sequence in self._published:
            self.is_whole = False
            yield self._violation(
                "publishedUnrecorded",
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

    def _other_contents(self, event: RecordedEvent, copies: list[StreamRecord]) -> Iterator[Violation]:
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


def not_published(event: RecordedEvent, subject: str, kind: str, cutoff: Cutoff) -> Iterator[Violation]:
    """Yield what is wrong about an event that is not on the stream: published and lost, or waiting for too long."""
    stored = event.stored
    if cutoff.must_be_read(event):
        yield Violation(
            invariant=6 if stored.certificate_id else 5,
            rule=RULE_MISSING,
            kind=kind,
            subject=subject,
            about=stored.event_id,
            expected=f"{stored.event_type} {f'of sequence {stored.sequence} ' * bool(stored.sequence)}on the stream",
            seen=f"none, though it left the outbox, recorded at {stored.recorded_at}",
        )
    elif event.waits and stored.recorded_at < cutoff.patient_until:
        yield Violation(
            invariant=5,
            rule=RULE_UNPUBLISHED,
            kind=kind,
            subject=subject,
            about=stored.event_id,
            expected=f"{stored.event_type} on the stream within a short time",
            seen=f"it waits since {stored.recorded_at}",
        )
