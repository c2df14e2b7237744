"""Invariant 6: sequences have no gap, and the stream says under each number what the database recorded."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from giftcert.contracts.stream import digest_of
from giftcert.storage.verification.checks import Rule, Violation
from giftcert.storage.verification.pages import CertificateRow, RecordedEvent
from giftcert.storage.verification.session import StreamRecord
from giftcert.verification.scope import Cutoff

GAP = Rule(6, "gap", "certificate")
OTHER_CONTENT = Rule(6, "otherContent", "certificate")
UNRECORDED = Rule(6, "publishedUnrecorded", "certificate")
MISSING = Rule(6, "missingOnStream", "certificate")
UNPUBLISHED = Rule(5, "unpublished", "certificate")


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
            yield self._gap(f"sequence {self._last + 1}", f"sequence {sequence}")
        self._last = sequence
        copies = self._published.pop(sequence, [])
        if copies:
            yield from self._other_contents(event, copies)
        else:
            yield from not_published(event, self._cutoff)

    def end(self) -> Iterator[Violation]:
        """Yield what is wrong when there are no more events."""
        if self._last != self._certificate.sequence:
            yield self._gap(f"{self._certificate.sequence} events", f"the last is {self._last}")
        for sequence in self._published:
            self.is_whole = False
            seen = f"sequence {sequence} on the stream"
            yield self._broken(UNRECORDED, sequence, "an event that the database has", seen)

    def _gap(self, expected: str, seen: str) -> Violation:
        self.is_whole = False
        return self._broken(GAP, self._last + 1, expected, seen)

    def _other_contents(self, event: RecordedEvent, copies: list[StreamRecord]) -> Iterator[Violation]:
        stored = event.stored
        recorded = (stored.event_id, digest_of(stored))
        others = [one for one in copies if (one.event_id, one.digest) != recorded]
        if others:
            same_id = all(one.event_id == stored.event_id for one in others)
            seen = "other content" if same_id else f"also event {others[-1].event_id}"
            expected = f"event {stored.event_id} under sequence {stored.sequence}, as recorded"
            yield self._broken(OTHER_CONTENT, stored.sequence, expected, f"{seen} on the stream")

    def _broken(self, rule: Rule, sequence: int | None, expected: str, seen: str) -> Violation:
        return rule.broken(self._certificate.certificate_id, str(sequence), expected, seen)


def not_published(event: RecordedEvent, cutoff: Cutoff) -> Iterator[Violation]:
    """Yield what is wrong about an event that is not on the stream: published and lost, or waiting for too long."""
    stored = event.stored
    if cutoff.must_be_read(event):
        sequence = f" of sequence {stored.sequence}" if stored.sequence else ""
        expected = f"{stored.event_type}{sequence} on the stream"
        rule, seen = MISSING, f"none, though it left the outbox, recorded at {stored.recorded_at}"
    elif event.waits and stored.recorded_at < cutoff.patient_until:
        expected = f"{stored.event_type} on the stream within a short time"
        rule, seen = UNPUBLISHED, f"it waits since {stored.recorded_at}"
    else:
        return
    if stored.certificate_id is None:  # it has no sequence
        rule = replace(rule, invariant=5, kind="event")
    yield rule.broken(stored.certificate_id or stored.event_id, stored.event_id, expected, seen)
