"""The erasure of a client: what is kept of the person, store by store, what of it goes, and why the rest stays."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import uuid4

from giftcert.clock import Clock, utc_now
from giftcert.contracts.clients import ERASED, ClientRecord
from giftcert.plurals import counted
from giftcert.security.data_keys import Purpose
from giftcert.security.keyring import Keyring
from giftcert.storage import ingest_fences
from giftcert.storage.clients import ClientRepository
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Database
from giftcert.storage.erasures import ErasureRepository
from giftcert.storage.events import EventRepository
from giftcert.storage.personal_data import PersonalDataRepository, SealedRecord, Subject
from giftcert.storage.quarantine import owner_at
from giftcert.temporal.runs import CertificateRuns

_CLIENTS_AT_ONCE = 1_000
_ROUNDS, _ROUND_SECONDS = 60, 0.5  # until the transactions that were open have ended; ours take milliseconds

IDS_ALONE = "ids alone, which remain: without the client nobody is found by them"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one store holds of a client: what was erased now, how much remains, and why."""

    store: str
    holds: str
    remains: int
    why: str = ""
    erased: int = 0
    is_done: bool = True
    """Whether all went that has to go."""


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What is stored of a client after an erasure, or as it is now."""

    client_id: str
    subject: Subject
    findings: Sequence[Finding]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that has to go."""
        return all(one.is_done for one in self.findings)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Erases a client on connections of the owner of the tables; to look, anybody who reads will do."""

    database: Database
    keyring: Keyring
    runs: CertificateRuns
    stream_key: str
    clock: Clock = utc_now

    async def run(self, client_id: str, who: str, reason: str) -> ErasureReport:
        """Erase whatever may go, publish who asked for it, and report; repeating it does no harm.

        Raises:
            InsufficientPrivilegeError: not the owner of the tables; nothing was erased.
        """
        async with self.database.transaction() as connection:
            data = PersonalDataRepository(connection)
            subject = await data.subject(client_id)
            settings, recipients = await data.settings(subject), await data.recipients(subject)
            originals = await data.erase_originals(subject)
            now = self.clock()
            erased = [_erased(*one, now) for one in subject.merged_into.items()]
            await ClientRepository(connection).save(erased)
            what = f"erasure of client {client_id}: {reason}"
            await EventRepository(connection, self.keyring).append_act(self.stream_key, who, what, now)
        await self._erase_recipients()
        emptied = await self._empty_quarantine(subject)
        gone = {"clients": settings, "order_lines": recipients, "inbox": originals, "quarantine": emptied}
        return await self.report(client_id, gone)

    async def report(self, client_id: str, gone: Mapping[str, int] = MappingProxyType({})) -> ErasureReport:
        """Return what is stored of a client; ``gone`` is what was erased just now, by store."""
        async with self.database.connection() as connection:
            data = PersonalDataRepository(connection)
            subject = await data.subject(client_id)
            findings = [
                _to_go("clients", "language and channel of letters", await data.settings(subject)),
                _to_go("order_lines", "whom certificates are for", await data.recipients(subject)),
                _to_go("inbox", "messages of the orders as they came, sealed", await data.originals(subject)),
                await self._quarantined(subject),
                Finding("idempotency_keys", "answers to calls", await data.answers(subject), IDS_ALONE),
                Finding(
                    "events, stream", "events of the certificates", await data.events(subject), _EVIDENCE
                ),
            ]
        findings += [await self._histories(subject), *_ELSEWHERE]
        found = [_with_erased(one, gone.get(one.store, 0)) for one in findings]
        return ErasureReport(client_id, subject, found)

    async def _erase_recipients(self) -> None:
        """Do what ingest does too; where a transaction stays open for long, ingest ends it (see late-match recheck)."""
        for _ in range(_ROUNDS):
            async with self.database.transaction() as connection:
                await ErasureRepository(connection).set_fences(_CLIENTS_AT_ONCE)
            async with self.database.transaction() as connection:
                oldest_open = await ingest_fences.oldest_open(connection)
                erasures = ErasureRepository(connection)
                if not await erasures.erase_recipients(_CLIENTS_AT_ONCE, oldest_open):
                    return
            await asyncio.sleep(_ROUND_SECONDS)

    async def _empty_quarantine(self, subject: Subject) -> int:
        named = [one.quarantine_id async for one in self._naming(subject) if not one.is_open]
        async with self.database.transaction() as connection:
            return await PersonalDataRepository(connection).empty_closed(named) if named else 0

    async def _quarantined(self, subject: Subject) -> Finding:
        left = [one async for one in self._naming(subject)]
        waiting = [one for one in left if one.is_open]
        why = ""
        if waiting:
            places = ", ".join("{}:{}:{}".format(*one.place) for one in waiting[:3])
            why = f"{counted(len(waiting), 'record')} open, {places}: "
            why += "`giftcert quarantine replay` or `dismiss` first"
        return Finding(
            "quarantine", "records that were not applied, sealed", len(left), why, is_done=not left
        )

    async def _naming(self, subject: Subject) -> AsyncIterator[SealedRecord]:
        """Yield the records whose content names one of the clients or orders."""
        words = [re.escape(one.encode()) for one in (*subject.clients, *subject.orders)]
        named = re.compile(rb"(?<![\w-])(" + b"|".join(words) + rb")(?![\w-])")
        seals, page = Seals(self.database, self.keyring), await self._quarantine_page(0)
        while page:
            for one in page:
                if any(map(named.search, await _contents(seals, one))):
                    yield one
            page = await self._quarantine_page(page[-1].quarantine_id)

    async def _quarantine_page(self, after: int) -> list[SealedRecord]:
        async with self.database.connection() as connection:
            return await PersonalDataRepository(connection).quarantined(after)

    async def _histories(self, subject: Subject) -> Finding:
        opened = 0
        if subject.certificates:
            async for page in self.runs.pages(subject.certificates):
                opened += len(page)
        why = f"{IDS_ALONE}; a history goes when its run has ended and the namespace's retention is over"
        return Finding("Temporal", "open workflows of the certificates", opened, why)


_EVIDENCE = f"{IDS_ALONE}; nothing else ever stands in an event, and the audit chain is over them"
_ELSEWHERE = (
    Finding("archive, BI", "copies of events", 0, IDS_ALONE),
    Finding(
        "backups", "the database as it was", 0, "erase again after one was restored: the stream says whom"
    ),
)


def _to_go(store: str, holds: str, remains: int) -> Finding:
    return Finding(store, holds, remains, "run it again" if remains else "", is_done=not remains)


def _with_erased(finding: Finding, erased: int) -> Finding:
    return Finding(finding.store, finding.holds, finding.remains, finding.why, erased, finding.is_done)


def _erased(client_id: str, merged_into: str | None, now: datetime) -> ClientRecord:
    """Return what CRM says by a null value; merges stay known."""
    return ClientRecord(
        event_id=f"{ERASED}:{uuid4()}",
        event_type=ERASED,
        occurred_at=now,
        client_id=client_id,
        merged_into=merged_into,
    )


async def _contents(seals: Seals, record: SealedRecord) -> list[bytes]:
    parts = ((record.sealed_key, Purpose.QUARANTINED_KEY), (record.sealed_value, Purpose.QUARANTINED_VALUE))
    owner = owner_at(record.place)
    return [await seals.open(sealed, purpose, owner) for sealed, purpose in parts if sealed is not None]
