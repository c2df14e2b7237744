"""A time-skipping Temporal, a real PostgreSQL, and one worker per test on a queue of its own."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.certificates import CertificateActivities
from giftcert.contracts.payloads import DATA_CONVERTER
from giftcert.domain.messages import (
    Allocation,
    AuthorizeRedemption,
    Cause,
    Line,
    LinesReturned,
    Message,
    OrderCancelled,
    OrderStated,
    OwnLine,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
    ResolveRefund,
    SpendingReported,
)
from giftcert.settings import Settings
from giftcert.storage.engine import engine_at
from tests.conftest import new_database
from worker import sandbox
from workflows import search_attributes
from workflows.asking import WorkflowAwayError, ask
from workflows.certificate import CertificateWorkflow
from workflows.names import signal_of, workflow_id
from workflows.requests import Answer, Request
from workflows.run_input import CertificateInput

Answered = TypeVar("Answered")
PRICE = 500_000
HISTORIES = Path(__file__).parent / "histories"
RECORD = "GIFTCERT_RECORD_HISTORIES" in os.environ
"""Set it to store the histories of these tests anew: only after a change that old runs may not survive."""


@pytest.fixture
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    server = Path(sys.executable).parent / "temporal-test-server"  # of the requirements
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(server), data_converter=DATA_CONVERTER, identity="test-client"
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
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    made = engine_at(await new_database(postgres_url))
    async with made.begin() as connection:
        await connection.execute(
            text("""INSERT INTO products VALUES ('GC-5000', 'RUB', 500000, NULL, NULL, '365 days', '30 min', '2 h',
                '30 min', '1 day', 20, 16, 6)""")
        )
        await connection.execute(
            text("INSERT INTO batches VALUES (gen_random_uuid(), 'GC-5000', 1000, 'generate')")
        )
    yield made
    await made.dispose()


@dataclass
class Sale:
    """One reserved certificate, and the messages of an order that sells it."""

    environment: WorkflowEnvironment
    engine: AsyncEngine
    queue: str
    certificate_id: str
    reservation_id: str
    started_at: datetime
    order_id: str = field(default_factory=lambda: f"IM-{uuid4().hex[:12]}")
    sent: int = 0

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.environment.client.get_workflow_handle(workflow_id(self.certificate_id))

    def _common(self) -> dict[str, Any]:
        self.sent += 1
        return {
            "key": f"{self.order_id}:{self.sent}",
            "cause": Cause("All_SalesOrder", f"e-{self.sent}"),
            "occurred_at": self.started_at,
            "channel": "im",
            "order_id": self.order_id,
        }

    def ordered(self, version: int = 1, amount: int = PRICE, *, own: bool = True) -> OrderStated:
        return OrderStated(
            **self._common(),
            order_version=version,
            customer_id="C-1",
            currency="RUB",
            total=amount,
            lines=(Line("1", "giftCertificate", amount),),
            own=OwnLine("1", amount, reservation_id=self.reservation_id) if own else None,
        )

    def cancelled(self, version: int = 2) -> OrderCancelled:
        return OrderCancelled(**self._common(), order_version=version, line_ids=None)

    def returned(self, version: int = 2) -> LinesReturned:
        return LinesReturned(**self._common(), order_version=version, line_ids=("1",))

    def _payment(self) -> dict[str, Any]:
        return {**self._common(), "payment_id": "P-1", "tender": "card", "amount": PRICE, "currency": "RUB"}

    def authorized(self) -> PaymentAuthorized:
        return PaymentAuthorized(**self._payment())

    def voided(self) -> PaymentVoided:
        return PaymentVoided(**self._payment())

    def captured(self, amount: int = PRICE) -> PaymentCaptured:
        return PaymentCaptured(**{**self._payment(), "amount": amount}, capture_id=f"K-{self.sent}")

    def refunded(self, amount: int = PRICE) -> PaymentRefunded:
        fields = {**self._payment(), "amount": amount, "allocations": (Allocation("1", amount),)}
        return PaymentRefunded(**fields, refund_id=f"R-{self.sent}")

    def refunded_without_word(self, amount: int = PRICE) -> PaymentRefunded:
        """A refund that names no line."""
        return PaymentRefunded(**{**self._payment(), "amount": amount}, refund_id=f"R-{self.sent}")

    async def tell(self, *messages: Message) -> None:
        """Deliver messages as ingest does: signal-with-start, in order."""
        for message in messages:
            await again_if_a_run_was_ending(lambda message=message: self._signal(message))

    async def _signal(self, message: Message) -> None:
        await self.environment.client.start_workflow(
            CertificateWorkflow.run,
            CertificateInput(certificate_id=self.certificate_id),
            id=workflow_id(self.certificate_id),
            task_queue=self.queue,
            start_signal=signal_of(message),
            start_signal_args=[message],
        )

    async def ask(self, request: Request, within: timedelta = timedelta(minutes=10)) -> Answer:
        """Ask as a door does, on the clock of the test server."""
        now = (await self.environment.get_current_time()).astimezone(UTC)
        channel = self.queue.removeprefix("certificates-")
        return await again_if_a_run_was_ending(
            lambda: ask(self.environment.client, self.certificate_id, channel, request, now + within, now)
        )

    def hold(self, amount: int, redemption_id: str | None = None, attempt: int = 1) -> AuthorizeRedemption:
        redemption_id = redemption_id or str(uuid4())
        return AuthorizeRedemption(
            key=f"hold:{redemption_id}:{attempt}",
            channel="pos",
            redemption_id=redemption_id,
            order_id="POS-1",
            amount=amount,
            currency="RUB",
            expires_at=self.started_at + timedelta(minutes=30),
        )

    def spent(self, hold: AuthorizeRedemption, event_type: str = "payment.captured") -> SpendingReported:
        self.sent += 1
        return SpendingReported(
            key=f"spending:{self.order_id}:{self.sent}",
            cause=Cause("All_Payments", f"e-{self.sent}"),
            occurred_at=self.started_at,
            channel="pos",
            event_type=event_type,
            order_id=hold.order_id,
            payment_id="P-9",
            redemption_id=hold.redemption_id,
            amount=hold.amount,
            currency="RUB",
            refund_id=f"R-{self.sent}" if event_type == "payment.refunded" else None,
        )

    def ordered_with_another(self, own: str) -> OrderStated:
        """An order of two certificates, as the one on line ``own`` sees it."""
        lines = (Line("1", "giftCertificate", PRICE), Line("2", "giftCertificate", PRICE))
        return OrderStated(
            **self._common(),
            order_version=1,
            customer_id="C-1",
            currency="RUB",
            total=2 * PRICE,
            lines=lines,
            own=OwnLine(own, PRICE, reservation_id=self.reservation_id),
        )

    async def resolve(self, decision: str, amount: int | None = None, by: str = "anna") -> Answer:
        """Decide the refund case that was opened last."""
        told = [event for event in await self.events() if event.event_type.startswith("refund.")]
        return await self.ask(
            ResolveRefund(
                key=str(uuid4()),
                refund_case_id=told[-1].payload["refundCaseId"],
                decision=decision,
                amount=amount,
                resolved_by=by,
                note="agreed by telephone",
            )
        )

    async def change_elsewhere(self, *, blocks: bool = False) -> None:
        """Change the certificate as the API does, without its workflow."""
        async with self.changing_elsewhere(blocks=blocks):
            pass

    @contextlib.asynccontextmanager
    async def changing_elsewhere(self, *, blocks: bool = False) -> AsyncIterator[None]:
        """Change it so, and commit only at the end."""
        change = text("""
            UPDATE certificates SET version = version + 1, blocked = blocked OR :blocks
            WHERE certificate_id = CAST(:id AS uuid)
        """)
        async with self.engine.begin() as connection:
            await connection.execute(change, {"id": self.certificate_id, "blocks": blocks})
            yield

    async def row(self) -> Any:
        async with self.engine.connect() as connection:
            query = text("SELECT * FROM certificates WHERE certificate_id = CAST(:id AS uuid)")
            return (await connection.execute(query, {"id": self.certificate_id})).one()

    async def event_types(self) -> list[str]:
        return [event.event_type for event in await self.events()]

    async def events(self) -> list[Any]:
        async with self.engine.connect() as connection:
            query = text("SELECT * FROM events WHERE certificate_id = CAST(:id AS uuid) ORDER BY sequence")
            return list(await connection.execute(query, {"id": self.certificate_id}))

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a condition; the time limit of the test ends it."""
        while not await condition():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.01)

    async def until_status(self, status: str) -> None:
        async def reached() -> bool:
            return bool((await self.row()).status == status)

        await self.until(reached)

    async def until_told(self, event_type: str) -> None:
        async def told() -> bool:
            return event_type in await self.event_types()

        await self.until(told)

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


async def again_if_a_run_was_ending(call: Callable[[], Awaitable[Answered]]) -> Answered:
    """Return the answer to a call.

    The test server refuses a call with start that meets a run just as it ends, where a real one would start another;
    signaller and doors call again, and so do we.
    """
    while True:
        try:
            return await call()
        except (RPCError, WorkflowAwayError) as error:
            refused = error if isinstance(error, RPCError) else error.__cause__
            if not isinstance(refused, RPCError) or refused.status is not RPCStatusCode.NOT_FOUND:
                raise


async def reserve(engine: AsyncEngine, now: datetime) -> tuple[str, str]:
    """Put a certificate into the pool and reserve it for the internet store."""
    certificate_id, reservation_id = str(uuid4()), str(uuid4())
    async with engine.begin() as connection:
        await connection.execute(
            text("""INSERT INTO certificates (certificate_id, product_id, batch_id, number_sealed,
                number_fingerprint, last_four, cvc_sealed, currency, nominal, status, reservation_id,
                reservation_channel, reserved_at, reserved_until, reservation_ended, sequence, version)
                SELECT CAST(:id AS uuid), 'GC-5000', batch_id, 'n', CAST(:id AS text)::bytea, '1234', 'c', 'RUB',
                500000, 'reserved', CAST(:reservation AS uuid), 'im', :now, :until, false, 0, 1
                FROM batches LIMIT 1"""),
            {
                "id": certificate_id,
                "reservation": reservation_id,
                "now": now,
                "until": now + timedelta(minutes=30),
            },
        )
    return certificate_id, reservation_id


@dataclass
class Deployment:
    """The worker of a test: its queue, and the build that it says it is."""

    queue: str
    activities: CertificateActivities

    def upgrade(self) -> None:
        """Let the worker be a newer build from now on."""
        self.activities._build += "+"

    def restart_with(self, settings: Settings) -> None:
        """Let the worker be one that was started with other settings."""
        started = CertificateActivities(self.activities._engine, settings, "build-1")
        vars(self.activities).update(vars(started))


@pytest.fixture
async def deployment(environment: WorkflowEnvironment, engine: AsyncEngine) -> AsyncIterator[Deployment]:
    """A worker that runs for this test on a queue of its own."""
    activities = CertificateActivities(engine, Settings(_env_file=None), "build-1")
    queue = f"certificates-{uuid4().hex[:8]}"
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[CertificateWorkflow],
        activities=[activities.load_certificate, activities.apply_transition],
        workflow_runner=sandbox(),
        identity="test-worker",
    ):
        yield Deployment(queue, activities)


@pytest.fixture
async def sale(
    environment: WorkflowEnvironment,
    engine: AsyncEngine,
    deployment: Deployment,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Sale]:
    """A reserved certificate whose workflow ends with the test."""
    now = (await environment.get_current_time()).astimezone(UTC)
    made = Sale(environment, engine, deployment.queue, *await reserve(engine, now), now)
    yield made
    if RECORD:
        await record_history(made, request.node.name)
    with contextlib.suppress(RPCError):  # it has ended, or was never started
        await made.handle.terminate()


async def record_history(sale: Sale, name: str) -> None:
    """Store the history of a sale, to be replayed against later workflow code."""
    if "[" in name:  # one crash of many at the same place
        return
    history = json.loads((await sale.handle.fetch_history()).to_json(), object_hook=_without_trace)
    told = json.dumps(history, ensure_ascii=False, indent=2)
    HISTORIES.joinpath(f"{name.removeprefix('test_')}.json").write_text(told + "\n")


def _without_trace(part: dict[str, Any]) -> dict[str, Any]:
    """Leave out the trace of a failure: it names paths of this machine, and no replay reads it."""
    return {key: value for key, value in part.items() if key != "stackTrace"}


@pytest.fixture
async def other_sale(sale: Sale) -> AsyncIterator[Sale]:
    """Another reserved certificate, for the same order."""
    ids = await reserve(sale.engine, sale.started_at)
    made = Sale(sale.environment, sale.engine, sale.queue, *ids, sale.started_at, sale.order_id, sent=100)
    yield made
    with contextlib.suppress(RPCError):
        await made.handle.terminate()


@pytest.fixture
async def caught_up(engine: AsyncEngine) -> AsyncIterator[None]:
    """Ingest has read everything, for ever."""
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO ingest_marks VALUES ('All_SalesOrder', 0, '3000-01-01')"))
    yield
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM ingest_marks"))
