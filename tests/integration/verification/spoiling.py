"""What more than one test does to a world."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import ConsumerRecord

from giftcert.contracts.notices import about_certificate
from giftcert.contracts.stream import EventRecord
from giftcert.domain.certificate.events import OperatorActed
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import Order
from giftcert.security.data_keys import Purpose
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.data_keys import Seals
from giftcert.storage.events import EventRepository
from giftcert.temporal.runs import OpenRun
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import publish_all

Written = Iterable[tuple[bytes | None, bytes | None]]


def as_it_was(record: ConsumerRecord) -> Written:
    yield record.key, record.value


def is_of(record: ConsumerRecord, certificate_id: str, event_type: str) -> bool:
    event = json.loads(record.value)
    return bool(event["certificateId"] == certificate_id and event["eventType"] == event_type)


class CarelessEventRepository(EventRepository):
    """Writes events as they are."""

    async def _masked(
        self, records: Sequence[EventRecord], _certificate_id: str | None = None
    ) -> Sequence[EventRecord]:
        return records


async def tell(world: World, certificate_id: str, **changes: Any) -> None:
    """Record an event of a certificate as it stands, and publish it; a stream of our own, lest others read it."""
    async with world.database.transaction() as connection:
        stored = await CertificateRepository(connection).load(certificate_id)
        record = about_certificate(OperatorActed(who="anna", what="looked"), stored.state, datetime.now(UTC))
        fields = {name: getattr(record, name) for name in EventRecord.__dataclass_fields__}
        await CarelessEventRepository(connection).append(
            certificate_id, [EventRecord(**{**fields, **changes})]
        )
    await world.tell_again(as_it_was)
    await publish_all(world.database, world.settings)


async def unpublish(world: World, event_type: str | None = None) -> None:
    """Have events of a type, or all, wait in the outbox as if they were not published yet."""
    await world.spoil(
        """INSERT INTO outbox (shard, event_id)
            SELECT crc32(stream_key::bytea) % 32, event_id FROM events
            WHERE event_type = coalesce(:event_type, event_type) ORDER BY certificate_id, sequence""",
        event_type=event_type,
    )


async def publish_as_recorded(world: World) -> None:
    """Have the stream say what is recorded by now."""
    await unpublish(world)
    await world.tell_again(lambda _: ())
    await publish_all(world.database, world.settings)


async def fold_otherwise(world: World, order_id: str, change: Callable[[Order], Order]) -> None:
    """Change what an order knows, and its lines with it."""
    async with world.database.transaction() as connection:
        known = await connection.fetchval("SELECT aggregate FROM orders WHERE order_id = $1", order_id)
        order = change(msgspec.msgpack.decode(known, type=Order))
        aggregate = msgspec.msgpack.encode(order)
        await connection.execute("UPDATE orders SET aggregate = $2 WHERE order_id = $1", order_id, aggregate)
        rows = await connection.fetch(_COUNTED, order_id)
        counted = {key: msgspec.json.decode(said, type=CountedMoney) for key, said in rows}
        for key, standing in line_standings(order, counted).items():
            await connection.execute(_STANDING, order_id, key, msgspec.json.encode(standing).decode())


_COUNTED = "SELECT line_key, coalesce(counted, '{}')::text FROM order_lines WHERE order_id = $1"
_STANDING = "UPDATE order_lines SET standing = $3::jsonb WHERE order_id = $1 AND line_key = $2"


async def secrets_of(world: World, certificate_id: str) -> tuple[str, str]:
    """The number and the CVC of a certificate."""
    async with world.database.connection() as connection:
        stored = await CertificateRepository(connection).load(certificate_id)
    seals, owner = Seals(world.database, world.keyring), UUID(certificate_id).bytes
    number = await seals.open(stored.number_sealed, Purpose.NUMBER, owner)
    cvc = await seals.open(stored.cvc_sealed, Purpose.CVC, owner)
    return number.decode(), cvc.decode()


@dataclass
class OtherRuns:
    """What Temporal says, but for one certificate."""

    runs: Any
    hidden: str = ""
    texts: Sequence[str] = ()

    async def pages(self, certificate_ids: Sequence[str] | None = None) -> AsyncIterator[list[OpenRun]]:
        async for page in self.runs.pages(certificate_ids):
            yield [
                OpenRun(one.certificate_id, (*one.texts, *self.texts))
                for one in page
                if one.certificate_id != self.hidden
            ]

    async def is_open(self, certificate_id: str) -> bool:
        return certificate_id != self.hidden and bool(await self.runs.is_open(certificate_id))
