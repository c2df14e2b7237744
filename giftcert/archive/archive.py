"""The archive of events in a folder: months are written once they are over, and compared with all other evidence."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import msgspec
from aiokafka import ConsumerRecord

from giftcert.archive.evidence import Difference, Evidence, Record
from giftcert.archive.months import ArchiveError, Month, months_in
from giftcert.clock import Clock, utc_now
from giftcert.contracts.stream import StoredEvent, decode_event
from giftcert.kafka_connection import connection_options
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.archived_events import ArchivedEventRepository
from giftcert.storage.audit_chain import event_mac, links_after
from giftcert.storage.database import Database
from giftcert.storage.verification.checks import Violation
from giftcert.storage.verification.session import BEGINNING, CertificateRow, Session
from giftcert.verification.recorded_events import FoldCheck
from giftcert.verification.stream import read_stream

LINKS_AT_ONCE = 20
LONGEST_TRANSACTION = timedelta(minutes=1)
SHOWN = 5
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was compared, and what differs.

    ``rebuilt`` certificates were folded from the stream alone to what the database says of them; those that changed
    meanwhile, or whose last event is on its way, are ``under_way``.
    """

    months: int
    events: int
    differences: Sequence[Difference]
    rebuilt: int
    under_way: int
    not_rebuilt: int
    first_not_rebuilt: Sequence[Violation]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.differences and not self.not_rebuilt


@dataclass(frozen=True, slots=True)
class Archive:
    """Writes and checks the files of a folder; whoever only reads the database may do so."""

    folder: Path
    database: Database
    settings: Settings
    keyring: Keyring
    clock: Clock = utc_now

    async def write(self, progress: Progress) -> list[Month]:
        """Write all months that are over and not there yet; return them.

        Raises:
            ArchiveError: events wait to be linked into the audit chain, without which none can be judged.
        """
        async with self.database.connection() as connection:
            events = ArchivedEventRepository(connection)
            first = await events.first_recorded()
            over = self.clock() - LONGEST_TRANSACTION
            wanted = [one for one in _months(self.folder, first, over) if not one.path.exists()]
            if wanted and await events.wait_for_the_chain(wanted[-1].ends):
                raise ArchiveError(
                    "events wait to be linked into the audit chain: a worker does it, try again then"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            for nth, month in enumerate(wanted, 1):
                await month.write(events.recorded(month.begins, month.ends), self.keyring, self.clock())
                progress("months", nth, len(wanted))
        return wanted

    async def check(self, progress: Progress) -> Checked:
        """Compare every archived event with chain, stream and database; fold all certificates from the stream alone.

        Raises:
            ArchiveError: there is no file, or one is not as it was written.
            KafkaError: Kafka does not answer.
        """
        months = months_in(self.folder)
        if not months:
            raise ArchiveError(f"{self.folder} holds no archive: `giftcert archive write` makes it")
        for month in months:
            month.manifest(self.keyring)
        with _evidence() as evidence:
            await self._take_chain(evidence)
            for nth, month in enumerate(months, 1):
                await self._take_month(evidence, month)
                progress("months", nth, len(months))
            await self._take_stream(evidence, progress)
            rebuilt = await self._rebuild(evidence, progress)
            return Checked(
                months=len(months),
                events=evidence.archived(),
                differences=evidence.differences(),
                rebuilt=rebuilt.agree,
                under_way=rebuilt.under_way,
                not_rebuilt=len({one.subject for one in rebuilt.broken}),
                first_not_rebuilt=rebuilt.broken[:SHOWN],
            )

    async def _take_chain(self, evidence: Evidence) -> None:
        number = 0
        async with self.database.connection() as connection:
            while links := await links_after(connection, number, LINKS_AT_ONCE):
                evidence.add_linked(
                    pair for link in links for pair in zip(link.event_ids, link.event_macs, strict=True)
                )
                number = links[-1].number

    async def _take_month(self, evidence: Evidence, month: Month) -> None:
        async with self.database.connection() as connection:
            for events in month.events():
                evidence.add_archived([(one, event_mac(self.keyring, one)) for one in events])
                ids = [one.event_id for one in events]
                evidence.add_recorded(await ArchivedEventRepository(connection).events(ids))

    async def _take_stream(self, evidence: Evidence, progress: Progress) -> None:
        done = 0

        async def take(records: Sequence[ConsumerRecord], total: int) -> None:
            nonlocal done
            pairs = ((record.key or b"", record.value or b"") for record in records)
            evidence.add_streamed(_decoded(pairs))
            done += len(records)
            progress("stream", done, total)

        await read_stream(connection_options(self.settings), self.settings.topic_stream, take)

    async def _rebuild(self, evidence: Evidence, progress: Progress) -> "_Rebuilt":
        rebuilt, after, done = _Rebuilt(), BEGINNING, 0
        async with self.database.connection() as connection:
            session = Session(connection, sampled=False)
            total = await session.count_certificates()
            while page := await session.certificates(after):
                rebuilt.take(page, evidence.records_of(page[0].certificate_id, page[-1].certificate_id))
                after, done = page[-1].certificate_id, done + len(page)
                progress("certificates from the stream", done, max(done, total))
        return rebuilt


@dataclass(slots=True)
class _Rebuilt:
    """Certificates folded from the stream alone: how many agree, how many change just now, and what differs."""

    agree: int = 0
    under_way: int = 0
    broken: list[Violation] = field(default_factory=list)

    def take(self, page: Sequence[CertificateRow], records: Sequence[tuple[str, Record]]) -> None:
        """Fold the certificates of a page, which was read after the stream: so it lacks nothing that is there."""
        events: dict[str, list[StoredEvent]] = {row.certificate_id: [] for row in page}
        for certificate_id, record in records:
            if certificate_id in events:
                events[certificate_id].append(decode_event(*record))
        for row in page:
            self._fold(row, events[row.certificate_id])

    def _fold(self, row: CertificateRow, events: Sequence[StoredEvent]) -> None:
        if len(events) < row.sequence and (not events or events[-1].sequence == len(events)):
            self.under_way += 1  # whole as far as it goes
            return
        fold = FoldCheck(row)
        broken = [one for event in events for one in fold.take(event)] + list(fold.end())
        self.agree += not broken
        self.broken += broken


@contextmanager
def _evidence() -> Iterator[Evidence]:
    with TemporaryDirectory(prefix="giftcert-archive-") as folder:
        evidence = Evidence(Path(folder))
        try:
            yield evidence
        finally:
            evidence.close()


def _months(folder: Path, first: datetime | None, over: datetime) -> Iterator[Month]:
    """Yield the months from that of an instant on that have ended before another."""
    if first is None:
        return
    month = Month(folder, first.date())
    while month.ends <= over:
        yield month
        month = Month(folder, month.ends.date())


def _decoded(records: Iterable[Record]) -> Iterator[tuple[StoredEvent, Record]]:
    """Yield the events that records are; `giftcert verify` names what is none."""
    for record in records:
        try:
            yield decode_event(*record), record
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
