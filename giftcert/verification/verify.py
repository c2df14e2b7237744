"""One verification from beginning to end: read the stream, list the workflows, then look at everything page by page."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from confluent_kafka.admin import AdminClient
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.domain.identifiers import uuid7
from giftcert.kafka_connection import connection_options, librdkafka_options
from giftcert.settings import Settings
from giftcert.storage.pool import PoolRepository
from giftcert.storage.verification.orders import OrderPageRepository
from giftcert.storage.verification.pages import BEGINNING, PageRepository
from giftcert.storage.verification.published import PublishedRepository
from giftcert.storage.verification.secret_places import SecretPlaceRepository, number_lengths
from giftcert.storage.verification.session import (
    Session,
    note_waiting_events,
    server_time,
    verification_session,
)
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.certificate_pages import CertificatePages
from giftcert.verification.cutoff import Cutoff
from giftcert.verification.database_checks import DatabaseChecks
from giftcert.verification.order_pages import OrderPages
from giftcert.verification.product_events import ProductEvents
from giftcert.verification.secret_watch import CvcWatch, NumberWatch, Opener, Watches
from giftcert.verification.secrets import NumberSearch
from giftcert.verification.stored_texts import look_at_answers, look_at_quarantine
from giftcert.verification.stream_index import StreamIndex
from giftcert.verification.stream_reader import reading_stream
from giftcert.verification.topic import stream_violations
from giftcert.verification.violations import Findings

PAGE = 1_000
ORDER_PAGE = 200
SAMPLE_RECORDS = 200_000
"""Of a sample's verification at most about so many records of the stream are read, the latest."""
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is looked at, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the truth lies: database, stream, workflows; and the keyring, by which secrets are known."""

    engine: AsyncEngine
    settings: Settings
    keyring: Opener
    runs: CertificateRuns


async def verify(sources: Sources, progress: Progress, sample: int | None = None) -> Findings:
    """Hold everything, or a sample of so many certificates, against the ten invariants.

    What goes on meanwhile does no harm: each page is looked at as of one moment after the stream was read, and what
    the stream has by then but not before is not missed.

    Raises:
        StreamMissingError: the stream's topic does not exist.
        KafkaError: Kafka does not answer.
        RPCError: Temporal does not answer.
        SealError: a seal does not open: the keyring is another.
    """
    findings = Findings()
    await _check_keyring(sources)
    async with verification_session(sources.engine) as session:
        await _Verification(session, sources, findings, progress).run(sample)
    return findings


async def _check_keyring(sources: Sources) -> None:
    """By another keyring no secret would be known, and every quarantined record would seem to lie open."""
    async with sources.engine.connect() as connection:
        sample = await PoolRepository(connection).sealed_sample()
    if sample is not None:
        certificate_id, sealed = sample
        sources.keyring.open(sealed, certificate_id.bytes)


class _Verification:
    def __init__(self, session: Session, sources: Sources, findings: Findings, progress: Progress) -> None:
        self._session = session
        self._sources = sources
        self._findings = findings
        self._progress = progress
        self._published = PublishedRepository(session)

    async def run(self, sample: int | None) -> None:
        pages = PageRepository(self._session, sampled=sample is not None)
        if sample is not None:
            await pages.draw_sample(sample)
        ids = None if sample is None else await pages.sampled_ids()
        watches = await self._watches()
        cutoff = await self._read_stream(watches.numbers, ids)
        await self._look_at_topic()
        await self._list_runs(watches.numbers, ids)
        await self._published.complete()
        suspects = await self._look_at_certificates(pages, cutoff, watches)
        await self._look_at_orders(watches, sampled=sample is not None)
        await self._look_at_rest(cutoff, watches, all_of_it=sample is None)
        await DatabaseChecks(self._session, cutoff, self._findings).of_runs(suspects, self._sources.runs)

    async def _watches(self) -> Watches:
        search = NumberSearch(await number_lengths(self._session))
        places = SecretPlaceRepository(self._session, search.shortest)
        keyring = self._sources.keyring
        return Watches(
            numbers=NumberWatch(search, places, keyring), cvcs=CvcWatch(places, keyring), places=places
        )

    async def _look_at_topic(self) -> None:
        settings = self._sources.settings
        admin = AdminClient(librdkafka_options(settings))
        found = await asyncio.to_thread(stream_violations, admin, settings.topic_stream)
        if found is None:
            self._findings.unchecked.append("the configuration of the stream: the broker in memory has none")
        self._findings.add_all(found or ())

    async def _read_stream(self, numbers: NumberWatch, ids: list[str] | None) -> Cutoff:
        settings = self._sources.settings
        now = await server_time(self._session)
        await note_waiting_events(self._session)
        most = None if ids is None else SAMPLE_RECORDS
        async with reading_stream(connection_options(settings), settings.topic_stream, most) as reading:
            wanted = None if ids is None else {one.encode() for one in ids}
            index = StreamIndex(self._published, numbers, self._findings, wanted)
            await index.take(reading, lambda done, total: self._progress("stream", done, total))
            return Cutoff(
                read_until=now,
                read_since=reading.complete_since,
                patient_until=now - settings.verification_patience,
            )

    async def _list_runs(self, numbers: NumberWatch, ids: list[str] | None) -> None:
        runs, listed = self._sources.runs, 0
        async for page in runs.pages(ids):
            await self._published.add_open_runs([one.certificate_id for one in page])
            for one in page:
                text = "\n".join(one.texts).encode()
                numbers.look(text, "certificate", one.certificate_id, "its search attributes")
            self._findings.check(len(page), 7)
            listed += len(page)
            self._progress("workflows", listed, listed)
        await numbers.flush(self._findings)

    async def _look_at_certificates(
        self, pages: PageRepository, cutoff: Cutoff, watches: Watches
    ) -> set[str]:
        certificates = CertificatePages(self._session, cutoff, watches, self._findings)
        checks = DatabaseChecks(self._session, cutoff, self._findings)
        inbox_since = cutoff.read_until - self._sources.settings.inbox_retention + timedelta(days=1)
        suspects: set[str] = set()
        total, done, after = await pages.count(), 0, BEGINNING
        while True:
            async with pages.snapshot():
                page = await pages.after(after, PAGE)
                if not page:
                    return suspects
                await certificates.look_at(page)
                suspects.update(await checks.of_page([one.certificate_id for one in page], inbox_since))
            done, after = done + len(page), page[-1].certificate_id
            self._progress("certificates", done, max(done, total))

    async def _look_at_orders(self, watches: Watches, *, sampled: bool) -> None:
        repository = OrderPageRepository(self._session, sampled=sampled)
        policy = self._sources.settings.policy
        orders = OrderPages(self._session, repository, policy, watches, self._findings)
        total, done, after = await repository.count(), 0, ""
        while True:
            async with PageRepository(self._session).snapshot():
                page = await repository.after(after, ORDER_PAGE)
                if not page.orders:
                    return
                await orders.look_at(page, await server_time(self._session))
            done, after = done + len(page.orders), page.orders[-1].order_id
            self._progress("orders", done, max(done, total))

    async def _look_at_rest(self, cutoff: Cutoff, watches: Watches, *, all_of_it: bool) -> None:
        since = cutoff.read_since or EARLIEST
        first_event = uuid7(since - timedelta(minutes=1), 0) if cutoff.read_since else BEGINNING
        events = ProductEvents(self._session, cutoff, watches.numbers, self._findings)
        await events.look_at_all(first_event)
        async with PageRepository(self._session).snapshot():
            checks = DatabaseChecks(self._session, cutoff, self._findings)
            await checks.of_whole(since, first_event, all_of_it=all_of_it)
            await look_at_answers(watches, since, self._findings)
            await look_at_quarantine(watches, self._sources.keyring, since, self._findings)
        self._progress("everything else", 1, 1)
