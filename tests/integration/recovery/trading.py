"""A service of its own, all its processes as tasks here: trades, is backed up with pg_dump, and really restored."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from giftcert.dispatch.main import serve as dispatch
from giftcert.embedded.postgres import _binary
from giftcert.settings import Settings
from kafka_ingest.main import serve as ingest
from tests.integration.api.api_client import Api, Stock, open_api
from tests.integration.api.sales import open_stock
from tests.processes import PATIENCE_SECONDS
from tests.shared_servers import as_owner, on
from tests.unit.contracts.topic_records import certificate_line, order, payment, raw
from tests.waiting import until
from worker import running

PRICE = 500_000
PARTITIONS = 3
SHOWN = """
    SELECT certificate_id::text, status, blocked, balance, held, refund_state, sequence, order_id FROM certificates
"""


async def make_topics(bootstrap: str, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        made = [NewTopic(name, PARTITIONS, 1, topic_configs={"retention.ms": "-1"}) for name in names]
        await admin.create_topics(made)
    finally:
        await admin.close()


async def drop_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([name])

        async def is_gone() -> bool:
            return name not in await admin.list_topics()

        await until(is_gone)
    finally:
        await admin.close()


@dataclass
class Service:
    """The processes, the partners' side of them, and what the operators do."""

    settings: Settings
    producer: AIOKafkaProducer
    api: Api
    stock: Stock
    folder: Path
    reservations: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.settings.database_address

    # Partners ---------------------------------------------------------------------------------------------------

    async def reserve(self) -> str:
        answer = await self.api.next()
        assert answer.status_code == 200, answer.text
        said = answer.json()
        self.reservations[said["certificateId"]] = said["reservationId"]
        return str(said["certificateId"])

    async def order(self, certificate_id: str, **changes: Any) -> None:
        line = certificate_line(
            certificateId=certificate_id, reservationId=self.reservations[certificate_id], lineId="1"
        )
        stated = {
            "eventId": str(uuid4()),
            "orderId": order_of(certificate_id),
            "total": PRICE,
            "lines": [line],
        }
        await self._write(self.settings.topic_orders, order(**{**stated, "occurredAt": now(), **changes}))

    async def pay(self, certificate_id: str, **changes: Any) -> None:
        paid = {
            "eventId": str(uuid4()),
            "orderId": order_of(certificate_id),
            "paymentId": f"P-{certificate_id}",
            "amount": PRICE,
            "allocations": None,
            "occurredAt": now(),
        }
        await self._write(self.settings.topic_payments, payment(**{**paid, **changes}))

    async def sell(self) -> str:
        certificate_id = await self.reserve()
        await self.order(certificate_id)
        await self.pay(certificate_id)
        await self.becomes(certificate_id, "issued")
        return certificate_id

    async def refund(self, certificate_id: str) -> None:
        await self.pay(certificate_id, eventType="payment.refunded", refundId=f"R-{certificate_id}")
        await self.becomes(certificate_id, "refunded")

    async def hold(self, certificate_id: str, amount: int) -> str:
        secrets = await self.stock.credentials(certificate_id)
        body = {"channel": "im", **secrets, "amount": {"amount": amount, "currency": "RUB"}}
        held = await self.api.client.post(
            "/redemptions",
            json={**body, "orderId": f"IM-{uuid4().hex[:8]}"},
            headers=self.api.headers(key=str(uuid4())),
        )
        assert held.status_code == 201, held.text
        return str(held.json()["redemptionId"])

    async def spend(self, certificate_id: str, redemption_id: str, amount: int) -> None:
        """The goods are paid with the certificate."""
        [(order_id,)] = await self.query(
            "SELECT order_id FROM redemptions WHERE redemption_id = $1", redemption_id
        )
        await self.pay(
            certificate_id,
            orderId=order_id,
            paymentId=f"G-{redemption_id}",
            amount=amount,
            tender="giftCertificate",
            certificateId=certificate_id,
            redemptionId=redemption_id,
        )

    async def disclose(self, certificate_id: str) -> str:
        path = f"/certificates/{certificate_id}/cvc"
        [(notification_id,)] = await self.query(
            """SELECT payload ->> 'notificationId' FROM events
                WHERE certificate_id = $1::uuid AND event_type = 'notification.requested'""",
            certificate_id,
        )
        asked = {"purpose": "notification", "notificationId": notification_id}
        answer = await self.api.as_role("crm", path, **asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["cvc"])

    async def give_back(self, certificate_id: str) -> None:
        path = f"/reservations/{self.reservations[certificate_id]}"
        answer = await self.api.client.delete(path, headers=self.api.headers())
        assert answer.status_code == 204, answer.text

    async def _write(self, topic: str, value: Any) -> None:
        await self.producer.send_and_wait(topic, raw(value), value["orderId"].encode())

    # What is seen -----------------------------------------------------------------------------------------------

    async def query(self, statement: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(as_owner(self.url), server_settings={"timezone": "UTC"})
        try:
            return [tuple(row.values()) for row in await connection.fetch(statement, *values)]
        finally:
            await connection.close()

    async def becomes(self, certificate_id: str, status: str) -> None:
        async def has_become() -> bool:
            found = await self.query(f"{SHOWN} WHERE certificate_id = $1::uuid", certificate_id)
            return bool(found[0][1] == status)

        await within_patience(has_become)

    async def is_all_published(self) -> None:
        async def is_empty() -> bool:
            return await self.query("SELECT count(*) FROM outbox") == [(0,)]

        await within_patience(is_empty)

    async def certificates(self) -> dict[str, tuple[Any, ...]]:
        return {row[0]: row[1:] for row in await self.query(SHOWN)}

    async def stands_still(self, reason: str) -> None:
        async def does() -> bool:
            found = await self.query("SELECT standstill FROM stream_comparison")
            return found == [(reason,)]

        await within_patience(does)

    async def is_in_service(self) -> None:
        """Wait until the API has noticed that all goes on, which takes it a second."""

        async def answers() -> bool:
            answer = await self.api.as_role("support", f"/certificates/{uuid4()}")
            return bool(answer.status_code != 503)

        await within_patience(answers)

    # Operations -------------------------------------------------------------------------------------------------

    async def back_up(self) -> Path:
        copy = self.folder / f"{uuid4().hex}.dump"
        await run(str(_binary("pg_dump")), "--format=custom", f"--file={copy}", as_owner(self.url))
        return copy

    async def restore(self, copy: Path) -> None:
        """Put a copy in the place of the database while the processes run."""
        base, _, name = as_owner(self.url).rpartition("/")
        await on(f"{base}/postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
        await on(f"{base}/postgres", f'CREATE DATABASE "{name}"')
        await run(str(_binary("pg_restore")), f"--dbname={as_owner(self.url)}", str(copy))

    async def command(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        chosen = {
            "DATABASE_URL": self.url,
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "TEMPORAL_ADDRESS": self.settings.temporal_address,
            "TEMPORAL_NAMESPACE": self.settings.temporal_namespace,
            "TOPIC_ORDERS": self.settings.topic_orders,
            "TOPIC_PAYMENTS": self.settings.topic_payments,
            "TOPIC_CLIENTS": self.settings.topic_clients,
            "TOPIC_STREAM": self.settings.topic_stream,
            "KEYRING": self.settings.keyring,
            "JWT_JWKS": self.settings.jwt_jwks,
            "STATE_DIR": self.folder / "elsewhere",
            **settings,
        }
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "giftcert.cli", *arguments],
            env={**os.environ, **{f"GIFTCERT_{name}": str(value) for name, value in chosen.items()}},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


@asynccontextmanager
async def processes(settings: Settings, folder: Path) -> AsyncIterator[Service]:
    """Run api, ingest, worker and dispatch."""
    async with AsyncExitStack() as stack:
        producer = await stack.enter_async_context(
            AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
        )
        for serve in (ingest, dispatch):
            stack.push_async_callback(ended, asyncio.create_task(serve(settings)))
        await stack.enter_async_context(running(settings))
        api = await stack.enter_async_context(open_api(settings))
        stock = await stack.enter_async_context(open_stock(settings))
        yield Service(settings, producer, api, stock, folder)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def run(*command: str) -> None:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def within_patience(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await until(condition)


def order_of(certificate_id: str) -> str:
    return f"IM-{certificate_id[-12:]}"


def now() -> str:
    return datetime.now(UTC).isoformat()
