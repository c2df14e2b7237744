"""One verification from beginning to end: read the stream, list the workflows, then look at everything page by page."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias, TypeVar

from giftcert.domain.identifiers import uuid7
from giftcert.domain.policy import Policy
from giftcert.kafka_connection import connection_options
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.service_policy import recorded_policy
from giftcert.storage.verification import checks
from giftcert.storage.verification.session import (
    ANSWERS,
    BEGINNING,
    LINES,
    QUARANTINE,
    STATES,
    CertificateRow,
    OrderRow,
    RecordedEvent,
    Session,
    verification_session,
)
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.audit_chain import ChainCheck
from giftcert.verification.order_checks import order_unreadable, violations
from giftcert.verification.pace import Pace
from giftcert.verification.recorded_events import Cutoff, look_at_certificates, look_at_event
from giftcert.verification.secrets import SecretWatch
from giftcert.verification.stream import StreamIndex, look_at_topic, read_stream
from giftcert.verification.violations import KEPT, Findings

SAMPLE_RECORDS = 200_000
"""Of a sample's verification at most about so many records of the stream are read, the latest."""
ASKED_AT_ONCE = 16
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is checked, how much of it is done, and how much there is."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the truth lies: database, stream, workflows; and the keyring, by which secrets are known.

    ``rest`` is how long to rest, in proportion to the work.
    """

    database: Database
    settings: Settings
    keyring: Keyring
    runs: CertificateRuns
    rest: float = 0.0


async def verify(
    sources: Sources, progress: Progress, sample: int | None = None, *, named: int = KEPT
) -> Findings:
    """Check the ten invariants of everything, or of a sample of so many certificates.

    At most ``named`` violations of an invariant are named; of one question about all rows at most 1,000.

    What goes on meanwhile does no harm: each page is looked at as of one moment after the stream was read, and what
    the stream has by then but not before is not missed.

    Raises:
        StreamMissingError: the stream's topic does not exist.
        KafkaError, KafkaException: Kafka does not answer.
        RPCError: Temporal does not answer.
        SealError: a seal does not open: the keyring is another.
    """
    async with sources.database.connection() as connection:
        # By another keyring no secret would be known, and every quarantined record would seem to lie open.
        await PoolRepository(connection).check_keyring(sources.keyring)
        policy = await recorded_policy(connection) or sources.settings.policy
    findings = Findings(named)
    async with verification_session(sources.database, sampled=sample is not None) as session:
        seals = Seals(sources.database, sources.keyring)
        secrets = SecretWatch(session, seals, findings, await session.number_lengths())
        pace = Pace(sources.rest)
        chain = ChainCheck(session, sources.keyring, findings, pace)
        verification = _Verification(session, sources, progress, policy, secrets, chain, findings, pace)
        await verification.run(sample)
    return findings


@dataclass(slots=True)
class _Verification:
    session: Session
    sources: Sources
    progress: Progress
    policy: Policy
    secrets: SecretWatch
    chain: ChainCheck
    findings: Findings
    pace: Pace
    cutoff: Cutoff = field(init=False)

    async def run(self, sample: int | None) -> None:
        wanted = None if sample is None else await self.session.draw_sample(sample)
        await look_at_topic(self.sources.settings, self.findings)
        await self._read_stream(wanted)
        await self._list_runs(wanted)
        if sample is None:  # reading the whole chain takes too long for one
            links = await self.chain.read()
            self.progress("audit chain", links, links)
        await self.session.index()
        suspects = await self._look_at_certificates()
        await self._look_at_orders()
        await self._look_at_rest(is_sample=sample is not None)
        await self._look_at_runs(sorted(suspects))

    async def _read_stream(self, wanted: list[str] | None) -> None:
        settings = self.sources.settings
        now = await self.session.begin()
        index = StreamIndex(
            session=self.session,
            secrets=self.secrets,
            findings=self.findings,
            pace=self.pace,
            wanted=None if wanted is None else set(wanted),
            progress=lambda done, total: self.progress("stream", done, total),
        )
        most = None if wanted is None else SAMPLE_RECORDS
        since = await read_stream(connection_options(settings), settings.topic_stream, index.take, most)
        self.cutoff = Cutoff(
            read_until=now, read_since=since, patient_until=now - settings.verification_patience
        )

    async def _list_runs(self, wanted: list[str] | None) -> None:
        listed = 0
        async for page in self.sources.runs.pages(wanted):
            await self.session.add_open_runs([one.certificate_id for one in page])
            for one in page:
                for text in one.texts:
                    self.secrets.look(text, "certificate", one.certificate_id, "its search attributes")
            self.findings.check(len(page), 7)
            listed += len(page)
            self.progress("workflows", listed, listed)
        await self.secrets.flush()

    async def _look_at_certificates(self) -> set[str]:
        """Return the certificates whose workflow seems to be missing, which Temporal has to confirm."""
        session, suspects = self.session, set[str]()
        inbox_since = self.cutoff.read_until - self.sources.settings.inbox_retention + timedelta(days=1)

        async def look(page: Sequence[CertificateRow]) -> None:
            await look_at_certificates(
                session, page, self.cutoff, self.secrets, self.chain, self.findings, self.pace
            )
            ids = [row.certificate_id for row in page]
            await self.secrets.look_at(STATES, ids, but_ids=True)
            for check in checks.OF_PAGE:
                await self._ask(check, ids)
            await self._ask(checks.OVERDUE, ids, self.cutoff.patient_until)
            await self._ask(checks.CAUSE_UNKNOWN, ids, inbox_since)
            disclosures, events = await session.figures(checks.COUNTS_OF_PAGE, ids)
            self.findings.check(disclosures, 8)
            self.findings.check(events, 10)
            without_run, _ = await session.ask(checks.NO_RUN, ids)
            suspects.update(one.subject for one in without_run)

        total = await session.count_certificates()
        await self._page_by_page(
            "certificates", total, session.certificates, look, lambda row: row.certificate_id, BEGINNING
        )
        return suspects

    async def _look_at_orders(self) -> None:
        async def look(page: Sequence[OrderRow]) -> None:
            await self._hold_against_domain(page)
            await self.secrets.look_at(LINES, [row.order_id for row in page], but_ids=True)

        total = await self.session.count_orders()
        await self._page_by_page("orders", total, self.session.orders, look, lambda row: row.order_id, "")

    async def _hold_against_domain(self, page: Sequence[OrderRow]) -> None:
        """Name the orders that cannot be decoded, and compare all others with the domain."""
        try:
            stored = await self.session.stored(page)
        except ValueError as error:
            if len(page) == 1:
                self.findings.add(order_unreadable(page[0].order_id, error))
                return
            half = len(page) // 2
            await self._hold_against_domain(page[:half])
            await self._hold_against_domain(page[half:])
            return
        self.findings.check(len(stored.lines), 9)
        self.findings.add_all(violations(stored, self.policy, self.cutoff.read_until))
        await self.pace.pause()

    async def _look_at_rest(self, *, is_sample: bool) -> None:
        """Look at all that belongs to no certificate and came since what was read of the stream; and at counts."""
        since = self.cutoff.read_since or EARLIEST
        first_event = uuid7(since - timedelta(minutes=1), 0)

        async def look(page: Sequence[RecordedEvent]) -> None:
            for event in page:
                look_at_event(event, self.cutoff, self.secrets, self.chain, self.findings)
            self.findings.check(len(page), 6)

        await self._page_by_page(
            "other events",
            0,
            self.session.keyed_events,
            look,
            lambda event: event.stored.event_id,
            first_event,
        )
        async with self.session.snapshot():
            for check in checks.OF_EVERYTHING + checks.NOT_OF_A_SAMPLE * (not is_sample):
                await self._ask(check)
            await self._ask(checks.PENDING, self.cutoff.patient_until)
            await self._ask(checks.CHAIN_BEHIND, self.cutoff.read_until - checks.LINKED_WITHIN)
            await self._ask(checks.ORDER_LOST, since)
            await self._ask(checks.QUARANTINE_UNREPORTED, first_event, since)
            products, inputs, quarantined, answers = await self.session.figures(
                checks.COUNTS_OF_EVERYTHING, since
            )
            self.findings.check(products, 1)
            self.findings.check(quarantined + answers, 7)
            self.findings.check(inputs + quarantined, 9)
            await self.secrets.look_at(ANSWERS, since)
            await self.secrets.look_at(QUARANTINE, since)
            await self.secrets.look_at_answers(since)
            await self.secrets.look_at_seals(since)
            await self.secrets.flush()
        self.progress("everything else", 1, 1)

    async def _look_at_runs(self, suspects: list[str]) -> None:
        """Take in whose workflow still misses when Temporal itself was asked: its list lags behind.

        A workflow that ends between the list and our look leaves nothing that misses it, one that begins is open.
        """
        for start in range(0, len(suspects), ASKED_AT_ONCE):
            closed = await self._closed(suspects[start : start + ASKED_AT_ONCE])
            again, _ = await self.session.ask(checks.NO_RUN, closed)
            still = await self._closed([one.subject for one in again])
            self.findings.add_all(one for one in again if one.subject in still)

    async def _closed(self, certificate_ids: list[str]) -> list[str]:
        answers = await asyncio.gather(*map(self.sources.runs.is_open, certificate_ids))
        return [one for one, is_open in zip(certificate_ids, answers, strict=True) if not is_open]

    async def _ask(self, check: checks.Check, *parameters: Sequence[str] | datetime | str) -> None:
        found, count = await self.session.ask(check, *parameters)
        self.findings.add_all(found)
        self.findings.add_uncounted(check.invariant, count - len(found))
        await self.pace.pause()

    async def _page_by_page(
        self,
        what: str,
        total: int,
        read: Callable[[str], Awaitable[Sequence[_T]]],
        look: Callable[[Sequence[_T]], Awaitable[None]],
        id_of: Callable[[_T], str],
        first: str,
    ) -> None:
        """Look at page after page, each within a snapshot, from behind ``first``."""
        after, done = first, 0
        while True:
            async with self.session.snapshot():
                page = await read(after)
                if not page:
                    return
                await look(page)
                await self.secrets.flush()
            after, done = id_of(page[-1]), done + len(page)
            self.progress(what, done, max(done, total))
            await self.pace.pause()
