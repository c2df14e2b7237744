"""One verification from beginning to end: read the stream, list the workflows, then look at everything page by page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.domain.identifiers import uuid7
from giftcert.domain.policy import Policy
from giftcert.kafka_connection import connection_options
from giftcert.security import Keyring
from giftcert.settings import Settings
from giftcert.storage.pool import PoolRepository
from giftcert.storage.service_policy import recorded_policy
from giftcert.storage.verification.pages import BEGINNING, OrderPageRepository, PageRepository
from giftcert.storage.verification.secret_places import SecretPlaceRepository, number_lengths
from giftcert.storage.verification.session import (
    PublishedRepository,
    Session,
    note_waiting_events,
    server_time,
    verification_session,
)
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.database_checks import check_page, check_runs, check_whole
from giftcert.verification.event_pages import look_at_certificates, look_at_keyed_events
from giftcert.verification.order_checks import look_at_orders
from giftcert.verification.scope import Cutoff, Scope
from giftcert.verification.secrets import NumberSearch, SecretWatch
from giftcert.verification.stream import StreamIndex, reading_stream
from giftcert.verification.topic import look_at_topic
from giftcert.verification.violations import Findings

PAGE = 1_000
ORDER_PAGE = 200
EVENT_PAGE = 2_000
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
    keyring: Keyring
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
    async with sources.engine.connect() as connection:
        # By another keyring no secret would be known, and every quarantined record would seem to lie open.
        await PoolRepository(connection).check_keyring(sources.keyring)
        policy = await recorded_policy(connection) or sources.settings.policy
    async with verification_session(sources.engine) as session:
        findings, search = Findings(), NumberSearch(await number_lengths(session))
        places = SecretPlaceRepository(session, search.shortest)
        await _Verification(
            session=session,
            sources=sources,
            progress=progress,
            sample=sample,
            pages=PageRepository(session, sampled=sample is not None),
            secrets=SecretWatch(search, places, sources.keyring, findings),
            findings=findings,
        ).run(policy)
    return findings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verification:
    session: Session
    sources: Sources
    progress: Progress
    sample: int | None
    pages: PageRepository
    secrets: SecretWatch
    findings: Findings

    async def run(self, policy: Policy) -> None:
        ids = None
        if self.sample is not None:
            await self.pages.draw_sample(self.sample)
            ids = await self.pages.sampled_ids()
        cutoff = await self._read_stream(ids)
        await look_at_topic(self.sources.settings, self.findings)
        await self._list_runs(ids)
        await PublishedRepository(self.session).complete()
        scope = Scope(
            session=self.session, policy=policy, cutoff=cutoff, secrets=self.secrets, findings=self.findings
        )
        suspects = await self._look_at_certificates(scope)
        await self._look_at_orders(scope)
        await self._look_at_rest(scope)
        await check_runs(scope, suspects, self.sources.runs)

    async def _read_stream(self, ids: list[str] | None) -> Cutoff:
        settings = self.sources.settings
        now = await server_time(self.session)
        await note_waiting_events(self.session)
        index = StreamIndex(
            published=PublishedRepository(self.session),
            secrets=self.secrets,
            findings=self.findings,
            wanted=None if ids is None else {one.encode() for one in ids},
        )
        most = None if ids is None else SAMPLE_RECORDS
        async with reading_stream(connection_options(settings), settings.topic_stream, most) as reading:
            await index.take(reading, lambda done, total: self.progress("stream", done, total))
            return Cutoff(
                read_until=now,
                read_since=reading.complete_since,
                patient_until=now - settings.verification_patience,
            )

    async def _list_runs(self, ids: list[str] | None) -> None:
        runs, listed = self.sources.runs, 0
        async for page in runs.pages(ids):
            await PublishedRepository(self.session).add_open_runs([one.certificate_id for one in page])
            for one in page:
                texts = "\n".join(one.texts)
                self.secrets.look(texts, "certificate", one.certificate_id, "its search attributes")
            self.findings.check(len(page), 7)
            listed += len(page)
            self.progress("workflows", listed, listed)
        await self.secrets.flush()

    async def _look_at_certificates(self, scope: Scope) -> set[str]:
        """Return the certificates whose workflow seems to be missing."""
        inbox_since = scope.cutoff.read_until - self.sources.settings.inbox_retention + timedelta(days=1)
        suspects: set[str] = set()
        total, done = await self.pages.count(), 0

        async def look(after: str) -> str | None:
            nonlocal done
            page = await self.pages.after(after, PAGE)
            if not page:
                return None
            await look_at_certificates(scope, page)
            suspects.update(await check_page(scope, [one.certificate_id for one in page], inbox_since))
            done += len(page)
            self.progress("certificates", done, max(done, total))
            return page[-1].certificate_id

        await self._page_by_page(look, BEGINNING)
        return suspects

    async def _look_at_orders(self, scope: Scope) -> None:
        repository = OrderPageRepository(self.session, sampled=self.sample is not None)
        total, done = await repository.count(), 0

        async def look(after: str) -> str | None:
            nonlocal done
            page = await repository.after(after, ORDER_PAGE)
            if not page.orders:
                return None
            await look_at_orders(scope, repository, page, await server_time(self.session))
            done += len(page.orders)
            self.progress("orders", done, max(done, total))
            return page.orders[-1].order_id

        await self._page_by_page(look, "")

    async def _look_at_rest(self, scope: Scope) -> None:
        since = scope.cutoff.read_since or EARLIEST
        first_event = BEGINNING if since == EARLIEST else uuid7(since - timedelta(minutes=1), 0)

        async def look(after: str) -> str | None:
            page = await self.pages.keyed_events(after, EVENT_PAGE)
            await look_at_keyed_events(scope, page)
            return page[-1].stored.event_id if page else None

        await self._page_by_page(look, first_event)
        async with self.pages.snapshot():
            await check_whole(scope, since, first_event, all_of_it=self.sample is None)
            await scope.secrets.look_at_answers(since)
            await scope.secrets.look_at_quarantine(since)
        self.progress("everything else", 1, 1)

    async def _page_by_page(self, look: Callable[[str], Awaitable[str | None]], first: str) -> None:
        """Look at page after page, each within a snapshot; ``look`` returns behind what the next one begins."""
        after: str | None = first
        while after is not None:
            async with self.pages.snapshot():
                after = await look(after)
