"""A time-skipping Temporal, a real PostgreSQL, one worker, and what an order says told to them as ingest does."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.certificate import CertificateActivities
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import (
    AuthorizeRedemption,
    Request,
    ResolveRefund,
    SpendingKind,
    SpendingReported,
)
from giftcert.domain.certificate.state import Redemption
from giftcert.domain.order.messages import (
    Allocation,
    LinesReturned,
    OrderCancelled,
    OrderLine,
    OrderMessage,
    OrderStated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.requests import Outcome
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.orders import OrderRepository
from giftcert.temporal import search_attributes
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate, task_queue, workflow_id
from tests.conftest import new_database
from tests.folding import fold, report_spending
from tests.named_values import query
from tests.sandbox import sandbox
from tests.waiting import until
from workflows.certificate import CertificateWorkflow

PRICE = 500_000
CHANNEL = "im"
HISTORIES = Path(__file__).parent / "histories"
RECORD = "GIFTCERT_RECORD_HISTORIES" in os.environ
"""Set it to store the histories of these tests anew: only after a change that old runs may not survive."""


@pytest.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with start_environment(DATA_CONVERTER) as started:
        yield started


@asynccontextmanager
async def start_environment(converter: DataConverter) -> AsyncIterator[WorkflowEnvironment]:
    """Start a server that skips time, whose client sends values so."""
    server = Path(sys.executable).parent / "temporal-test-server"  # of the requirements
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server), data_converter=converter, identity="test-client"
    ) as started:
        await started.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                search_attributes={
                    key.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD for key in search_attributes.ALL
                }
            )
        )
        yield started


@pytest.fixture(scope="session")
async def database(postgres_url: str) -> AsyncIterator[Database]:
    made = Database(await new_database(postgres_url))
    async with made.transaction() as connection:
        await connection.execute(
            """INSERT INTO products VALUES ('GC-5000', 'RUB', 500000, NULL, NULL, '365 days', '30 min', '2 h',
                '30 min', '1 day', 20, 16, 6)"""
        )
        await connection.execute(
            "INSERT INTO batches VALUES (gen_random_uuid(), 'GC-5000', 1000, 'generate')"
        )
    yield made
    await made.close()


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return Keyring.create(tmp_path_factory.mktemp("keys") / "keyring.json")


@dataclass
class Deployment:
    """The worker of a test, which can be one that was started with other settings."""

    database: Database
    keyring: Keyring
    environment: WorkflowEnvironment
    activities: CertificateActivities = field(init=False)

    def __post_init__(self) -> None:
        self.start_with(Settings(_env_file=None))

    def start_with(self, settings: Settings) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle(
            self.database, settings.policy, self.keyring, web_url=settings.workflow_url, build="build-1"
        )
        started = CertificateActivities(self.lifecycle, self.environment.client)
        if hasattr(self, "activities"):
            vars(self.activities).update(vars(started))
        else:
            self.activities = started


@pytest.fixture
async def deployment(
    environment: WorkflowEnvironment, database: Database, keyring: Keyring
) -> AsyncIterator[Deployment]:
    made = Deployment(database, keyring, environment)
    async with Worker(
        environment.client,
        task_queue=task_queue(CHANNEL),
        workflows=[CertificateWorkflow],
        activities=[made.activities.advance],
        workflow_runner=sandbox(),
        identity="test-worker",
    ):
        yield made


@dataclass
class Sale:
    """One reserved certificate, the order that sells it, and whoever asks for something."""

    deployment: Deployment
    certificate_id: str
    reservation_id: str
    started_at: datetime
    order_id: str = field(default_factory=lambda: f"IM-{uuid4().hex[:12]}")
    sent: int = 0
    early: list[OrderMessage] = field(default_factory=list)

    @property
    def environment(self) -> WorkflowEnvironment:
        return self.deployment.environment

    @property
    def database(self) -> Database:
        return self.deployment.database

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.environment.client.get_workflow_handle(workflow_id(self.certificate_id))

    async def now(self) -> datetime:
        return (await self.environment.get_current_time()).astimezone(UTC)

    # What the order and its payments say ----------------------------------------------------------

    def cause(self, topic: str = "All_SalesOrder") -> Cause:
        self.sent += 1
        return Cause(topic, f"e-{self.sent}", self.started_at, CHANNEL)

    def line(self, line_id: str = "1", amount: int = PRICE) -> OrderLine:
        return OrderLine(
            line_id=line_id,
            kind="giftCertificate",
            amount=amount,
            certificate_id=self.certificate_id,
            reservation_id=self.reservation_id,
        )

    def ordered(self, version: int = 1, amount: int = PRICE, *others: OrderLine) -> OrderStated:
        lines = (self.line(amount=amount), *others)
        return OrderStated(
            cause=self.cause(),
            event_type="order.created" if version == 1 else "order.changed",
            order_id=self.order_id,
            version=version,
            channel=CHANNEL,
            customer_id="C-1",
            currency="RUB",
            total=sum(line.amount for line in lines),
            lines=lines,
        )

    def cancelled(self, version: int = 2) -> OrderCancelled:
        return OrderCancelled(
            cause=self.cause(), order_id=self.order_id, version=version, channel=CHANNEL, line_ids=None
        )

    def returned(self, version: int = 2) -> LinesReturned:
        return LinesReturned(
            cause=self.cause(), order_id=self.order_id, version=version, channel=CHANNEL, line_ids=("1",)
        )

    def _payment(self, amount: int = PRICE) -> dict[str, Any]:
        return {
            "cause": self.cause("All_Payments"),
            "order_id": self.order_id,
            "payment_id": "P-1",
            "tender": "card",
            "amount": amount,
            "currency": "RUB",
        }

    def authorized(self) -> PaymentAuthorized:
        return PaymentAuthorized(**self._payment(), capture_id=f"A-{self.sent}")

    def voided(self) -> PaymentVoided:
        return PaymentVoided(**self._payment())

    def captured(self, amount: int = PRICE) -> PaymentCaptured:
        return PaymentCaptured(**self._payment(amount), capture_id=f"K-{self.sent}")

    def refunded(self, amount: int = PRICE) -> PaymentRefunded:
        allocations = (Allocation("1", amount),)
        return PaymentRefunded(**self._payment(amount), refund_id=f"R-{self.sent}", allocations=allocations)

    def refunded_without_word(self, amount: int = PRICE) -> PaymentRefunded:
        """A refund that names no line."""
        return PaymentRefunded(**self._payment(amount), refund_id=f"R-{self.sent}")

    def spent(self, hold: Redemption, kind: SpendingKind = SpendingKind.CAPTURED) -> SpendingReported:
        self.sent += 1
        return SpendingReported(
            cause=Cause("All_Payments", f"e-{self.sent}", self.started_at, "pos"),
            kind=kind,
            order_id=hold.order_id,
            payment_id="P-9",
            redemption_id=hold.redemption_id,
            amount=hold.held,
            currency="RUB",
            refund_id=f"R-{self.sent}" if kind is SpendingKind.REFUNDED else None,
        )

    # Telling and asking ---------------------------------------------------------------------------

    async def tell(self, *messages: OrderMessage | SpendingReported) -> None:
        """Commit messages as ingest does, send the signals, and let each be decided before the next one comes."""
        for message in messages:
            await self.tell_at_once(message)
            await self.until_decided()

    async def tell_at_once(self, *messages: OrderMessage | SpendingReported) -> None:
        """Commit messages and send the signals, whatever has been decided by then."""
        for message in messages:
            await self.wake(await self.commit(message))

    async def commit(self, message: OrderMessage | SpendingReported) -> list[Wake]:
        """Commit a message alone; its signals are lost unless the caller sends them."""
        now = await self.now()
        async with self.database.transaction() as connection:
            if isinstance(message, SpendingReported):
                identity = f"{self.order_id}:{message.cause.event_id}"
                return await report_spending(connection, self.certificate_id, message, identity, now)
            if isinstance(message, OrderStated):
                early, self.early = self.early, []
                return await fold(connection, [message, *early], now, self.deployment.settings.policy)
            if not await OrderRepository(connection).lock([self.order_id]):
                self.early.append(message)  # a payment waits for its order
                return []
            return await fold(connection, [message], now, self.deployment.settings.policy)

    def a_wake(self, kind: Signal) -> Wake:
        return Wake(certificate_id=self.certificate_id, signal=kind, channel=CHANNEL, order_id=self.order_id)

    async def wake(self, wakes: list[Wake] | tuple[Wake, ...]) -> None:
        for wake in wakes:  # the worker of a test serves one channel
            await signal_again_if_a_run_was_ending(self.environment, replace(wake, channel=CHANNEL))

    async def ask(self, request: Request) -> Outcome:
        """Ask as the API does, on the clock of the test server."""
        outcome = await self.deployment.lifecycle.act(self.certificate_id, request, await self.now())
        await self.wake(outcome.wakes)
        return outcome

    async def hold(self, amount: int, redemption_id: str | None = None) -> Redemption:
        """Hold an amount and return the hold."""
        outcome = await self.ask(self.holding(amount, redemption_id))
        assert outcome.refusal is None, outcome.refusal
        return outcome.state.redemptions[-1]

    def holding(self, amount: int, redemption_id: str | None = None) -> AuthorizeRedemption:
        return AuthorizeRedemption(
            channel="pos",
            redemption_id=redemption_id or str(uuid4()),
            order_id="POS-1",
            amount=amount,
            currency="RUB",
        )

    async def resolve(self, decision: str, amount: int | None = None, by: str = "anna") -> Outcome:
        """Decide the refund case that was opened last."""
        published = [event for event in await self.events() if event.event_type.startswith("refund.")]
        return await self.ask(
            ResolveRefund(
                refund_case_id=published[-1].payload["refundCaseId"],
                decision=decision,
                amount=amount,
                resolved_by=by,
                note="agreed by telephone",
            )
        )

    # What came of it ------------------------------------------------------------------------------

    async def row(self) -> Any:
        async with self.database.connection() as connection:
            statement = "SELECT * FROM certificates WHERE certificate_id = CAST(:id AS uuid)"
            [row] = await query(connection, statement, id=self.certificate_id)
            return SimpleNamespace(**row)

    async def event_types(self) -> list[str]:
        return [event.event_type for event in await self.events()]

    async def events(self) -> list[Any]:
        async with self.database.connection() as connection:
            statement = "SELECT * FROM events WHERE certificate_id = CAST(:id AS uuid) ORDER BY sequence"
            rows = await query(connection, statement, id=self.certificate_id)
            return [SimpleNamespace(**row) for row in rows]

    async def until_status(self, status: str) -> None:
        async def reached() -> bool:
            return bool((await self.row()).status == status)

        await until(reached)

    async def until_told(self, event_type: str, times: int = 1) -> None:
        async def published() -> bool:
            return (await self.event_types()).count(event_type) >= times

        await until(published)

    async def until_decided(self) -> None:
        """Wait until nothing is pending for the certificate."""

        async def decided() -> bool:
            async with self.database.connection() as connection:
                waits = "SELECT EXISTS (SELECT FROM pending WHERE certificate_id = $1::uuid)"
                return not await connection.fetchval(waits, self.certificate_id)

        await until(decided)

    async def skip(self, duration: timedelta) -> None:
        """Let time pass at once.

        The test server now and then leaves a request unanswered, which is asked again, for what then is left.
        """
        end = await self.environment.get_current_time() + duration
        while (left := end - await self.environment.get_current_time()) > timedelta():
            with contextlib.suppress(TimeoutError, RPCError):
                async with asyncio.timeout(4):
                    await self.environment.sleep(left)

    async def until_ended(self) -> str:
        """Wait for the latest run to end, and return how it did."""
        return str(await self.handle.result())


async def signal_again_if_a_run_was_ending(environment: WorkflowEnvironment, wake: Wake) -> None:
    """Signal a certificate.

    The test server refuses a call with start that meets a run just as it ends, where a real one would start another;
    the sweep signals again, and so do we.
    """
    while True:
        try:
            await signal_certificate(environment.client, wake)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        else:
            return


async def reserve(database: Database, now: datetime) -> tuple[str, str]:
    """Put a certificate into the pool and reserve it for the internet store."""
    ids = {
        "id": str(uuid4()),
        "reservation": str(uuid4()),
        "now": now,
        "until": now + timedelta(minutes=30),
    }
    async with database.transaction() as connection:
        for statement in _RESERVE:
            await query(connection, statement, **ids)
    return ids["id"], ids["reservation"]


_RESERVE = (
    """INSERT INTO certificates (certificate_id, product_id, batch_id, last_four, currency, nominal, status,
        reservation_id, reservation_channel, reserved_at, reserved_until, reservation_ended)
        SELECT CAST(:id AS uuid), 'GC-5000', batch_id, '1234', 'RUB', 500000, 'reserved',
        CAST(:reservation AS uuid), 'im', :now, :until, false FROM batches LIMIT 1""",
    """INSERT INTO certificate_secrets VALUES (CAST(:id AS uuid), 'number', CAST(:id AS text)::bytea, 'cvc')""",
    """INSERT INTO reservations VALUES (CAST(:reservation AS uuid), CAST(:id AS uuid), 'im', 'shop', :now, :until)""",
)


@pytest.fixture
async def sale(deployment: Deployment, request: pytest.FixtureRequest) -> AsyncIterator[Sale]:
    """A reserved certificate whose workflow ends with the test."""
    now = (await deployment.environment.get_current_time()).astimezone(UTC)
    made = Sale(deployment, *await reserve(deployment.database, now), now)
    yield made
    if RECORD:
        await record_history(made, request.node.name)


@pytest.fixture
async def other_sale(sale: Sale) -> Sale:
    """Another reserved certificate, for the same order."""
    ids = await reserve(sale.database, sale.started_at)
    return Sale(sale.deployment, *ids, sale.started_at, sale.order_id, sent=100)


async def record_history(sale: Sale, name: str) -> None:
    """Store the history of a sale, to be replayed against later workflow code."""
    if "[" in name:  # one crash of many at the same place
        return
    history = json.loads((await sale.handle.fetch_history()).to_json(), object_hook=_without_trace)
    stored = json.dumps(history, ensure_ascii=False, indent=2)
    HISTORIES.joinpath(f"{name.removeprefix('test_')}.json").write_text(stored + "\n")


def _without_trace(part: dict[str, Any]) -> dict[str, Any]:
    """Leave out the trace of a failure: it names paths of this machine, and no replay reads it."""
    return {key: value for key, value in part.items() if key != "stackTrace"}


@pytest.fixture
async def caught_up(database: Database) -> AsyncIterator[None]:
    """Ingest has read everything, for ever."""
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO ingest_marks VALUES ('All_SalesOrder', 0, '3000-01-01')")
    yield
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM ingest_marks")
