"""The same records in two databases: in one they were good at first, in the other some had to be mended."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest

import giftcert.contracts.payments
import kafka_ingest.decoder
from giftcert.contracts.clients import decode_client
from giftcert.contracts.inputs import MalformedRecord
from giftcert.contracts.orders import decode_order, probe_order
from giftcert.contracts.payments import PaymentRecord, checked
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import encode_state
from giftcert.storage.database import Database
from kafka_ingest.records import InputRecord, Topics, place_of
from kafka_ingest.replay import Replay, Replayed
from tests.integration.kafka_ingest.ingest_store import (
    NOON,
    TOPICS,
    Store,
    add_certificates,
    reserve_all,
)
from tests.integration.kafka_ingest.leading import Leading, recorded

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
# What a record brought about late stands as if it had come in time, but for whose place it was and what was reported.
COMPARED = (
    """SELECT order_id, line_key, line_id, standing - 'revision', recipient::text, unpaid_until,
        named_certificates::text[], speaker::text FROM order_lines""",
    "SELECT identity, content, certificate_id::text FROM spendings",
    "SELECT order_id, topic, partition, record_offset, event_id FROM inbox",
    "SELECT DISTINCT order_id, topic, partition, record_offset FROM unmatched_payments",
    "SELECT client_id, locale, erased, event_id FROM clients",
)


@dataclass
class Shop:
    """A database with certificates, and the workflows of those that are sold."""

    store: Store
    leading: Leading
    reservations: list[str]

    @property
    def replays(self) -> Replay:
        return Replay(self.database, self.store.rules, "ops-1", self.store.clock)

    @property
    def database(self) -> Database:
        return self.store.database

    async def comes(self, *records: InputRecord, looked_at: bool = True) -> None:
        """Records come in one batch, and the certificates decide what follows."""
        await self.store.commit(*records)
        if looked_at:
            await self.leading.lead()

    async def replay(self, *records: InputRecord, topics: Topics = TOPICS) -> list[Replayed]:
        """Records are replayed with what waits for them, and the certificates decide what follows."""
        self.store.topics = topics
        outcomes = [one for record in records for one in await self.replays.replay(place_of(record))]
        await self.leading.lead()
        return outcomes

    async def outcome(self) -> dict[str, Any]:
        """All that must not depend on what had to be mended: states, events of certificates, what is stored."""
        stored = {statement: sorted(await self.store.rows(statement), key=repr) for statement in COMPARED}
        for one in self.store.certificates:
            if await self.store.rows("SELECT 1 FROM certificates WHERE certificate_id = :id", id=one):
                state, events = await self.leading.state(one), await recorded(self.database, one)
                stored[one] = self._without_new_ids(encode_state(state), *map(str, events))
        return stored

    def _without_new_ids(self, *texts: str) -> list[str]:
        """The texts with ids that every run makes anew replaced, in the order in which they appear."""
        known = {*self.store.certificates, *self.reservations}
        made: dict[str, str] = {}

        def named(found: re.Match[str]) -> str:
            return found[0] if found[0] in known else made.setdefault(found[0], f"new-{len(made)}")

        return [_UUID.sub(named, text) for text in texts]

    async def waiting(self) -> list[tuple[int, str]]:
        """Offset and reason of what lies in quarantine."""
        return await self.store.rows(
            "SELECT record_offset, reason FROM quarantine WHERE closed_at IS NULL ORDER BY topic, record_offset"
        )


@dataclass
class Twins:
    """``good`` was good at first, ``mended`` had to be; certificates and reservations have the same ids."""

    good: Shop
    mended: Shop
    reservations: list[str]

    def line(self, nth: int = 0, line_id: str = "2", **changes: Any) -> dict[str, Any]:
        """A line that orders a certificate under its reservation."""
        reserved = self.reservations[nth]
        return self.good.store.line(nth, lineId=line_id, reservationId=reserved, **changes)

    async def import_certificates(self, shop: Shop, *numbers: int) -> None:
        """Certificates are put into the pool and reserved."""
        ids = [shop.store.certificates[nth] for nth in numbers]
        await add_certificates(shop.database, len(ids), ids)
        await reserve_all(
            shop.database, {shop.store.certificates[nth]: self.reservations[nth] for nth in numbers}
        )

    async def differences(self) -> list[tuple[Any, Any]]:
        """What is not the same in both."""
        good, mended = await self.good.outcome(), await self.mended.outcome()
        assert good.keys() == mended.keys()
        return [(good[name], mended[name]) for name in good if good[name] != mended[name]]


@asynccontextmanager
async def twins_at(urls: tuple[str, str], keyring: Keyring, count: int = 3) -> AsyncIterator[Twins]:
    """Two shops with no certificates in the pool yet."""
    databases = [Database(url) for url in urls]
    ids, reservations = ([str(uuid4()) for _ in range(count)] for _ in range(2))
    good, mended = (
        Shop(Store(database, keyring, ids, clock=lambda: NOON), Leading(database, keyring), reservations)
        for database in databases
    )
    mended.store.offsets = good.store.offsets  # a record of one is a record of the other
    try:
        yield Twins(good, mended, reservations)
    finally:
        for database in databases:
            await database.close()


def strict_decoders(patch: pytest.MonkeyPatch, event_ids: Iterable[str]) -> None:
    """Let decoders be as a version before the fix: these records do not please them."""
    names = [f'"{one}"'.encode() for one in event_ids]

    def refuse(value: bytes | None) -> None:
        if any(name in (value or b"") for name in names):
            raise MalformedRecord("invalidField", "extras: expected nothing")

    def strict_order(value: bytes | None) -> Any:
        refuse(value)
        return decode_order(value)

    def strict_probe(value: bytes | None) -> Any:
        refuse(value)
        return probe_order(value)

    def strict_payment(record: PaymentRecord) -> PaymentRecord:
        refuse(msgspec.json.encode(record))
        return checked(record)

    def strict_client(key: bytes | None, value: bytes | None, written_at: Any) -> Any:
        refuse(value)
        return decode_client(key, value, written_at)

    patch.setattr(kafka_ingest.decoder, "decode_order", strict_order)
    patch.setattr(kafka_ingest.decoder, "probe_order", strict_probe)
    patch.setattr(giftcert.contracts.payments, "checked", strict_payment)
    patch.setattr(kafka_ingest.decoder, "decode_client", strict_client)
