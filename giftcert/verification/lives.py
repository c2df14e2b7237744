"""Every certificate's life, page by page: what the database recorded, what the stream told, what both come to."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from giftcert.contracts.codec import decode_state
from giftcert.storage.verification.ledgers import refunded_states
from giftcert.storage.verification.pages import CertificateRow, PageRepository, RecordedEvent
from giftcert.storage.verification.secret_places import SecretPlaceRepository
from giftcert.storage.verification.session import Session
from giftcert.storage.verification.told import Told, ToldRepository
from giftcert.verification.folding import FoldCheck
from giftcert.verification.moment import Moment
from giftcert.verification.numbers import CvcWatch, NumberWatch
from giftcert.verification.refunded import refunded_too_much
from giftcert.verification.secrets import may_hold_cvc
from giftcert.verification.sequences import SequenceCheck
from giftcert.verification.violations import Findings, Violation

EVENTS_A_BREATH = 100
"""Folded without a pause; a worker has other things to do besides."""


class Life:
    """One certificate: its events in sequence, and their fold as long as the sequence is whole."""

    def __init__(self, certificate: CertificateRow, told: Sequence[Told], moment: Moment) -> None:
        self._sequence = SequenceCheck(certificate, told, moment)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Watches:
    """Who looks for secrets, and where stored texts are read."""

    numbers: NumberWatch
    cvcs: CvcWatch
    places: SecretPlaceRepository


class Lives:
    """Looks at the certificates of one page within a snapshot."""

    def __init__(self, session: Session, moment: Moment, watches: Watches, findings: Findings) -> None:
        self._session = session
        self._told = ToldRepository(session)
        self._pages = PageRepository(session)
        self._moment = moment
        self._watches = watches
        self._findings = findings

    async def look_at(self, page: Sequence[CertificateRow]) -> None:
        """Follow the lives of these certificates."""
        ids = [one.certificate_id for one in page]
        self._findings.check(len(page), 2, 3, 4, 5)
        await self._follow(page, ids)
        for text in await refunded_states(self._session, ids):
            self._findings.add_all(refunded_too_much(decode_state(text)))
        for stored in await self._watches.places.told_to_workflows(ids):
            self._watches.numbers.look(stored.said.encode(), "certificate", stored.place, stored.about)
        await self._watches.numbers.flush(self._findings)
        await self._watches.cvcs.flush(self._findings)

    async def _follow(self, page: Sequence[CertificateRow], ids: list[str]) -> None:
        told = await self._told.of_certificates(ids)
        lives = {
            one.certificate_id: Life(one, told.get(one.certificate_id, ()), self._moment) for one in page
        }
        taken = 0
        async for event in self._pages.events(ids):
            self._findings.add_all(lives[event.stored.certificate_id or ""].take(event))
            self._look_for_secrets(event)
            taken += 1
            if taken % EVENTS_A_BREATH == 0:
                await asyncio.sleep(0)
        self._findings.check(taken, 6)
        for life in lives.values():
            self._findings.add_all(life.end())

    def _look_for_secrets(self, event: RecordedEvent) -> None:
        """What was read of the stream was looked at there."""
        stored = event.stored
        about = f"the {stored.event_type} of sequence {stored.sequence}"
        if not self._moment.must_be_told(event.published_at):
            self._findings.check(1, 7)
            self._watches.numbers.look(
                stored.payload.encode(), "certificate", stored.certificate_id or "", about
            )
        if may_hold_cvc(stored.payload):
            self._watches.cvcs.look(stored.payload, stored.certificate_id or "", about)
