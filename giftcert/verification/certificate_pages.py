"""Certificates page by page: what the database recorded of each, what the stream holds, what both come to."""

import asyncio
from collections.abc import Iterator, Sequence

from giftcert.storage.verification.pages import CertificateRow, PageRepository, RecordedEvent
from giftcert.storage.verification.published import PublishedRepository, StreamRecord
from giftcert.storage.verification.session import Session
from giftcert.verification.cutoff import Cutoff
from giftcert.verification.secret_watch import Watches
from giftcert.verification.secrets import may_hold_cvc
from giftcert.verification.sequences import SequenceCheck
from giftcert.verification.stream_fold import FoldCheck
from giftcert.verification.violations import Findings, Violation

EVENTS_A_BREATH = 100
"""Folded without a pause; a worker has other things to do besides."""


class History:
    """The events of one certificate in sequence, and their fold as long as the sequence is whole."""

    def __init__(
        self, certificate: CertificateRow, published: Sequence[StreamRecord], cutoff: Cutoff
    ) -> None:
        self._sequence = SequenceCheck(certificate, published, cutoff)
        self._fold = FoldCheck(certificate)

    def take(self, event: RecordedEvent) -> Iterator[Violation]:
        """Yield what is wrong about the next event."""
        yield from self._sequence.take(event)
        if self._sequence.is_whole:
            yield from self._fold.take(event.stored)

    def end(self) -> Iterator[Violation]:
        """Yield what is wrong when there are no more."""
        yield from self._sequence.end()
        if self._sequence.is_whole:
            yield from self._fold.end()


class CertificatePages:
    """Looks at the certificates of one page within a snapshot."""

    def __init__(self, session: Session, cutoff: Cutoff, watches: Watches, findings: Findings) -> None:
        self._published = PublishedRepository(session)
        self._pages = PageRepository(session)
        self._cutoff = cutoff
        self._watches = watches
        self._findings = findings

    async def look_at(self, page: Sequence[CertificateRow]) -> None:
        """Follow the events of these certificates."""
        ids = [one.certificate_id for one in page]
        self._findings.check(len(page), 2, 3, 4, 5)
        await self._follow(page, ids)
        for stored in await self._watches.places.states(ids):
            self._watches.numbers.look(stored.said.encode(), "certificate", stored.place, stored.about)
        await self._watches.numbers.flush(self._findings)
        await self._watches.cvcs.flush(self._findings)

    async def _follow(self, page: Sequence[CertificateRow], ids: list[str]) -> None:
        published = await self._published.of_certificates(ids)
        histories = {
            one.certificate_id: History(one, published.get(one.certificate_id, ()), self._cutoff)
            for one in page
        }
        taken = 0
        async for event in self._pages.events(ids):
            self._findings.add_all(histories[event.stored.certificate_id or ""].take(event))
            self._look_for_secrets(event)
            taken += 1
            if taken % EVENTS_A_BREATH == 0:
                await asyncio.sleep(0)
        self._findings.check(taken, 6)
        for history in histories.values():
            self._findings.add_all(history.end())

    def _look_for_secrets(self, event: RecordedEvent) -> None:
        """What was read of the stream was looked at there."""
        stored = event.stored
        about = f"the {stored.event_type} of sequence {stored.sequence}"
        if not self._cutoff.must_be_read(event):
            self._findings.check(1, 7)
            self._watches.numbers.look(
                stored.payload.encode(), "certificate", stored.certificate_id or "", about
            )
        if may_hold_cvc(stored.payload):
            self._watches.cvcs.look(stored.payload, stored.certificate_id or "", about)
