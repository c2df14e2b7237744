"""What more than one test does to a world."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from giftcert.contracts.notices import OperatorActed, about_certificate
from giftcert.contracts.records import EventRecord
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.events import EventRepository
from giftcert.verification.runs import OpenRun, RunToStart
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import publish_all

Written = Iterable[tuple[bytes | None, bytes | None]]


def as_it_was(record: ConsumerRecord) -> Written:
    yield record.key, record.value


def is_of(record: ConsumerRecord, certificate_id: str, event_type: str) -> bool:
    event = json.loads(record.value)
    return bool(event["certificateId"] == certificate_id and event["eventType"] == event_type)


async def tell(world: World, certificate_id: str, **changes: Any) -> None:
    """Record an event of a certificate as it stands, and publish it; a stream of our own, lest others read it."""
    async with world.engine.begin() as connection:
        stored = await CertificateRepository(connection).load(certificate_id)
        record = about_certificate(OperatorActed(who="anna", what="looked"), stored.state, datetime.now(UTC))
        fields = {name: getattr(record, name) for name in EventRecord.__slots__}
        await EventRepository(connection).append(certificate_id, [EventRecord(**{**fields, **changes})])
    await world.tell_again(as_it_was)
    await publish_all(world.engine, world.settings)


async def secrets_of(world: World, certificate_id: str) -> tuple[str, str]:
    """The number and the CVC of a certificate."""
    async with world.engine.connect() as connection:
        stored = await CertificateRepository(connection).load(certificate_id)
    context = UUID(certificate_id).bytes
    return world.keyring.open(stored.number_sealed, context), world.keyring.open(stored.cvc_sealed, context)


@dataclass
class OtherRuns:
    """What Temporal says, but for one certificate."""

    runs: Any
    hidden: str = ""
    texts: Sequence[str] = ()

    async def pages(self) -> AsyncIterator[Sequence[OpenRun]]:
        async for page in self.runs.pages():
            yield [
                OpenRun(one.certificate_id, (*one.texts, *self.texts))
                for one in page
                if one.certificate_id != self.hidden
            ]

    async def pages_of(self, certificate_ids: Sequence[str]) -> AsyncIterator[Sequence[OpenRun]]:
        async for page in self.runs.pages_of(certificate_ids):
            yield page

    async def is_open(self, certificate_id: str) -> bool:
        return certificate_id != self.hidden and bool(await self.runs.is_open(certificate_id))

    async def start(self, run: RunToStart) -> None:
        await self.runs.start(run)
