"""The workflow by itself, whatever a look at the certificate tells it: signals, its timer, failures, its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.payloads import Advance
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.temporal import search_attributes as sa
from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate, task_queue, workflow_id
from giftcert.texts import texts_in
from tests.sandbox import sandbox
from tests.waiting import until
from workflows.certificate import CertificateWorkflow

CHANNEL = "im"
SEALED = SealedSecrets(number_sealed=b"\1key1number", cvc_sealed=b"\1key1cvc")
SEALED_ANEW = SealedSecrets(number_sealed=b"\1key2number", cvc_sealed=b"\1key2cvc")
ORDERED = Snapshot(
    status="ordered",
    over=False,
    next_instant=None,
    details="It waits for payment of the order.",
    waiting_for="payment of the order",
    visibility=Visibility(channel=CHANNEL, order_id="IM-1", product="GC-5000"),
)
OVER = replace(ORDERED, status="available", over=True, visibility=Visibility(status="available"))
PATIENCE = timedelta(minutes=10)
METADATA = "__temporal_workflow_metadata"


@dataclass
class Script:
    """What the certificate looks like, and every look at it."""

    environment: WorkflowEnvironment
    certificate_id: str = field(default_factory=lambda: str(uuid4()))
    answer: Callable[[Advance], Snapshot] = lambda _: ORDERED
    looks: list[Advance] = field(default_factory=list)
    local: list[bool] = field(default_factory=list)
    sealed: SealedSecrets = SEALED

    @activity.defn(name="advance")
    async def advance(self, look: Advance) -> Snapshot:
        self.looks.append(look)
        self.local.append(activity.info().is_local)
        seen = self.answer(look)
        return replace(seen, sealed=self.sealed if look.sealed_by != self.sealed.key_id else None)

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.environment.client.get_workflow_handle(workflow_id(self.certificate_id))

    async def signal(self, kind: Signal = Signal.ORDER_CREATED) -> bool:
        wake = Wake(
            certificate_id=self.certificate_id,
            signal=kind,
            channel=CHANNEL,
            product="GC-5000",
            order_id="IM-1",
            cause="so-1",
        )
        return await signal_certificate(self.environment.client, wake)

    async def until_looked(self, times: int) -> None:
        await until(lambda: len(self.looks) >= times)

    async def kinds(self) -> list[EventType.ValueType]:
        return [event.event_type for event in (await self.handle.fetch_history()).events]

    def worker(self, **options: Any) -> Worker:
        given = {"activities": [self.advance], "workflow_runner": sandbox(), **options}
        return Worker(
            self.environment.client,
            task_queue=task_queue(CHANNEL),
            workflows=[CertificateWorkflow],
            **given,
        )


@pytest.fixture
async def script(environment: WorkflowEnvironment) -> AsyncIterator[Script]:
    made = Script(environment)
    async with made.worker():
        yield made


# Signals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Signal)
async def test_every_kind_of_signal_makes_it_look_once(script: Script, kind: Signal) -> None:
    await script.signal()
    await script.until_looked(1)
    started = await script.signal(kind)
    await script.until_looked(2)
    assert started is (kind is Signal.ORDER_CREATED)


async def test_a_signal_starts_a_run_where_none_is(script: Script) -> None:
    assert await script.signal(Signal.PAYMENT_CAPTURED)
    await script.until_looked(1)


@pytest.mark.parametrize("argument", [[], ["nonsense"], [{"cause": 7, "order_id": []}, b"\xff"], [None]])
@pytest.mark.parametrize("name", ["payment_captured", "forged"])
async def test_a_signal_that_means_nothing_only_makes_it_look(
    script: Script, name: str, argument: list[object]
) -> None:
    await script.signal()
    await script.until_looked(1)
    await script.handle.signal(name, args=argument)
    await script.until_looked(2)
    assert await script.handle.query("status") == "ordered"


async def test_a_burst_of_signals_is_one_look_and_none_is_lost(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    await asyncio.gather(*(script.signal(Signal.PAYMENT_CAPTURED) for _ in range(20)))
    await until(lambda: len(script.looks) >= 2)
    assert len(script.looks) < 20


# Time ---------------------------------------------------------------------------------------------


async def test_one_timer_is_moved_only_when_the_next_instant_comes_earlier(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    now = script.looks[0].now
    for number, days in enumerate((3, 365, 2), start=2):
        script.answer = lambda _, at=now + timedelta(days=days): replace(ORDERED, next_instant=at)  # type: ignore[misc]
        await script.signal(Signal.PAYMENT_CAPTURED)
        await script.until_looked(number)
    script.answer = lambda _: replace(ORDERED, next_instant=now + timedelta(days=365))
    await script.environment.sleep(timedelta(days=2, minutes=1))
    await script.until_looked(5)
    assert script.looks[-1].timer_at is None
    assert [look.timer_at for look in script.looks[1:4]] == [
        None,
        now + timedelta(days=3),
        now + timedelta(days=3),
    ]
    kinds = await script.kinds()
    assert kinds.count(EventType.EVENT_TYPE_TIMER_STARTED) == 3
    assert kinds.count(EventType.EVENT_TYPE_TIMER_CANCELED) == 1
    assert kinds.count(EventType.EVENT_TYPE_TIMER_FIRED) == 1


async def test_an_instant_that_has_passed_makes_no_busy_loop(script: Script) -> None:
    script.answer = lambda look: replace(ORDERED, next_instant=look.now - timedelta(hours=1))
    await script.signal()
    await script.until_looked(3)
    first, second, third = (look.now for look in script.looks[:3])
    assert second - first >= timedelta(seconds=1)
    assert third - second >= timedelta(seconds=1)


# The end of a run ---------------------------------------------------------------------------------


async def test_it_ends_when_nothing_is_open_and_the_next_message_starts_another(script: Script) -> None:
    script.answer = lambda _: OVER
    await script.signal()
    assert await script.handle.result() == "available: nothing is open"
    await script.signal()
    await script.until_looked(2)
    assert script.looks[1].sealed_by == 0


async def test_cancelling_a_run_ends_nothing(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    for times in (2, 3):
        await script.handle.cancel()
        if times == 2:
            await script.until_looked(2)
    await script.signal(Signal.PAYMENT_CAPTURED)
    await script.until_looked(3)
    assert (await script.handle.describe()).status == WorkflowExecutionStatus.RUNNING
    script.answer = lambda _: OVER
    await script.signal(Signal.ORDER_CANCELLED)
    assert await script.handle.result() == "available: nothing is open"


async def test_a_run_cancelled_before_its_first_look_looks(environment: WorkflowEnvironment) -> None:
    script = Script(environment)
    await script.signal()
    await script.handle.cancel()
    async with script.worker():
        await script.until_looked(2)
    assert (await script.handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_a_run_cancelled_while_it_looks_goes_on(environment: WorkflowEnvironment) -> None:
    script = Script(environment)
    looking, go_on = asyncio.Event(), asyncio.Event()

    @activity.defn(name="advance")
    async def slow(look: Advance) -> Snapshot:
        script.looks.append(look)
        if activity.info().is_local:
            raise OSError("PostgreSQL is away")
        looking.set()
        await go_on.wait()
        return replace(ORDERED, sealed=SEALED)

    async with script.worker(activities=[slow]):
        await script.signal()
        await looking.wait()
        await script.handle.cancel()
        await script.signal(Signal.PAYMENT_CAPTURED)
        go_on.set()
        await script.until_looked(6)  # two local attempts and a normal one, twice
        assert (await script.handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_a_run_that_the_worker_forgot_is_led_on_from_its_history(
    environment: WorkflowEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    script, other = Script(environment), Script(environment)
    async with script.worker(max_cached_workflows=1):
        await script.signal()
        await script.until_looked(1)
        await script.handle.cancel()
        await script.until_looked(2)
        await signal_certificate(
            environment.client,
            Wake(certificate_id=other.certificate_id, signal=Signal.ORDER_CREATED, channel=CHANNEL),
        )
        await script.until_looked(3)
        await script.signal(Signal.PAYMENT_CAPTURED)
        await script.until_looked(4)
        assert await script.handle.query("status") == "ordered"
    assert not caplog.records


async def test_a_long_history_goes_on_in_a_new_run_that_shows_the_same(
    environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(environment)
    long: list[str] = []
    monkeypatch.setattr(workflow.Info, "is_continue_as_new_suggested", lambda info: info.run_id in long)
    pending = replace(ORDERED.visibility, status="issued", refund_state="pendingDetails")
    script.answer = lambda _: replace(ORDERED, visibility=pending)
    async with script.worker(workflow_runner=UnsandboxedWorkflowRunner()):
        await script.signal()
        await script.until_looked(1)
        first = (await script.handle.describe()).run_id
        long.append(first)
        await script.signal(Signal.PAYMENT_REFUNDED)
        await script.until_looked(3)
        described = await script.handle.describe()
        assert described.run_id != first
        assert described.typed_search_attributes.get(sa.REFUND_STATE) == "pendingDetails"
        assert EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES not in await script.kinds()
        assert await script.handle.query("sealed_secrets", result_type=SealedSecrets) == SEALED


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_a_certificate_outlives_a_database_that_is_away_for_long(
    environment: WorkflowEnvironment, trouble: str
) -> None:
    """The local activity gives up; a normal one, which support sees, is tried until the database is there again."""
    script = Script(environment)
    attempts: list[str] = []

    @activity.defn(name="advance")
    async def away(look: Advance) -> Snapshot:
        if len(attempts) < 4:
            attempts.append("local" if activity.info().is_local else "normal")
            if trouble == "hangs" and activity.info().is_local:
                await asyncio.Event().wait()
            raise OSError("PostgreSQL is away")
        return await script.advance(look)

    async with script.worker(activities=[away]):
        await script.signal()
        await until(lambda: "normal" in attempts)
        await environment.sleep(timedelta(seconds=10))
        await script.until_looked(1)
    assert (attempts[0], attempts[-1]) == ("local", "normal")


async def test_an_unknown_certificate_fails_its_run_in_plain_words(script: Script) -> None:
    def unknown(_: Advance) -> Snapshot:
        raise ApplicationError("no certificate X in the database", non_retryable=True)

    script.answer = unknown
    await script.signal()
    with pytest.raises(WorkflowFailureError) as failed:
        await script.handle.result()
    assert "no certificate X" in str(failed.value.cause)
    assert len(script.looks) == 1


# What a look costs, and what support sees ---------------------------------------------------------


async def test_search_attributes_are_set_only_where_they_differ(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    pending = replace(ORDERED.visibility, status="issued", refund_state="pendingDetails")
    script.answer = lambda _: replace(ORDERED, status="issued", visibility=pending, details="Look here.")
    for times in (2, 3):
        await script.signal(Signal.PAYMENT_REFUNDED)
        await script.until_looked(times)
    script.answer = lambda _: ORDERED
    await script.signal(Signal.REQUEST_DECIDED)
    await script.until_looked(4)

    async def unset() -> bool:
        return (await script.handle.describe()).typed_search_attributes.get(sa.REFUND_STATE) is None

    await until(unset)
    found = (await script.handle.describe()).typed_search_attributes
    assert found.get(sa.PRODUCT) == "GC-5000"
    assert (await script.kinds()).count(EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES) == 2


async def test_support_reads_the_details_and_below_them_what_the_buttons_of_the_page_do(
    script: Script,
) -> None:
    script.answer = lambda _: replace(ORDERED, details="Ждёт оплаты заказа.", language="ru")
    await script.signal()
    await script.until_looked(1)
    shown = (await script.handle.query(METADATA)).current_details
    assert shown == f"Ждёт оплаты заказа.\n\n{texts_in('ru')('buttons')}"
    assert await script.handle.query("details") == "Ждёт оплаты заказа."
    history = (await script.handle.fetch_history()).to_json()
    assert "Terminate" not in history, "what stands below every certificate need not stand in its history"


async def test_the_first_query_that_the_web_ui_offers_is_the_one_in_words(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    offered = (await script.handle.query(METADATA)).definition.query_definitions
    by_name = sorted(offered, key=lambda one: (one.name.startswith("__"), one.name))
    assert by_name[0].name == "details"
    assert "In words" in by_name[0].description


async def test_the_sealed_secrets_come_with_the_first_look_and_are_kept(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    await script.signal(Signal.PAYMENT_CAPTURED)
    await script.until_looked(2)
    assert await script.handle.query("sealed_secrets", result_type=SealedSecrets) == SEALED
    assert [look.sealed_by for look in script.looks] == [0, SEALED.key_id]


async def test_a_run_keeps_what_was_sealed_anew_by_a_rotation(script: Script) -> None:
    await script.signal()
    await script.until_looked(1)
    script.sealed = SEALED_ANEW
    await script.signal(Signal.KEYS_ROTATED)
    await script.until_looked(2)
    await script.signal(Signal.PAYMENT_CAPTURED)
    await script.until_looked(3)
    assert await script.handle.query("sealed_secrets", result_type=SealedSecrets) == SEALED_ANEW
    assert [look.sealed_by for look in script.looks] == [0, SEALED.key_id, SEALED_ANEW.key_id]


async def test_a_sale_takes_12_events_and_6_actions(script: Script) -> None:
    script.answer = lambda look: replace(ORDERED, next_instant=look.now + timedelta(hours=72))
    await script.signal()
    await script.until_looked(1)
    await until(lambda: counts(script, EventType.EVENT_TYPE_TIMER_STARTED, 1))
    script.answer = lambda look: replace(
        ORDERED, status="issued", next_instant=look.now + timedelta(days=365)
    )
    await script.signal(Signal.PAYMENT_CAPTURED)
    await script.until_looked(2)
    await until(lambda: counts(script, EventType.EVENT_TYPE_MARKER_RECORDED, 2))
    assert len(await script.kinds()) == 12


async def counts(script: Script, kind: EventType.ValueType, times: int) -> bool:
    return (await script.kinds()).count(kind) == times
