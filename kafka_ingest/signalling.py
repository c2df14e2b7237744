"""Signallers: deliveries of one certificate in order, of different certificates at the same time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.service import RPCError, RPCStatusCode

from giftcert.storage.deliveries import DeliveryRepository, UnsentDelivery
from kafka_ingest.signal import Signal
from kafka_ingest.trouble import Trouble

AT_ONCE = 64
BACKLOG = 20_000
"""Deliveries kept in memory; beyond it they wait in the database for the sweep."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
GATHER_SECONDS = 0.02
"""Sent deliveries are marked together after this; a crash before it costs a repeat."""
TEMPORAL, ONE_SIGNAL, MARKING = "Temporal", "a signal", "marking of signals"
_REFUSALS = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.OUT_OF_RANGE}
)


class Signaller:
    """Sends what it is handed, in order of ``delivery_id`` for each certificate.

    It may be handed the same delivery again, and always gets all that a certificate is still to be told, so that
    nothing overtakes what an earlier process left. Repeats do no harm: workflows know them by their key.
    """

    def __init__(self, engine: AsyncEngine, signal: Signal, trouble: Trouble) -> None:
        self._engine = engine
        self._signal = signal
        self._trouble = trouble
        self._queues: dict[str, list[UnsentDelivery]] = {}
        self._held: set[int] = set()
        self._sent: list[int] = []
        self._any_sent = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._leaders: set[asyncio.Task[None]] = set()

    @property
    def has_room(self) -> bool:
        """Whether more can be taken."""
        return len(self._held) < BACKLOG

    @property
    def is_idle(self) -> bool:
        """Whether all that was taken is sent and marked."""
        return not self._held

    def take(self, deliveries: Iterable[UnsentDelivery]) -> None:
        """Take deliveries, of each certificate all that it is still to be told, to be sent from now on."""
        if not self.has_room:
            return
        for delivery in deliveries:
            if delivery.delivery_id not in self._held:
                self._held.add(delivery.delivery_id)
                self._enqueue(delivery)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Mark what is sent while the context lasts; leaving it stops sending, the sweep finds the rest."""
        marker = asyncio.create_task(self._mark_for_ever())
        try:
            yield
        finally:
            tasks = [marker, *self._leaders]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _enqueue(self, delivery: UnsentDelivery) -> None:
        queue = self._queues.get(delivery.certificate_id)
        if queue is None:
            self._queues[delivery.certificate_id] = [delivery]
            leader = asyncio.create_task(self._lead(delivery.certificate_id))
            self._leaders.add(leader)
            leader.add_done_callback(self._leaders.discard)
            return
        queue.append(delivery)
        if len(queue) > 1 and queue[-2].delivery_id > delivery.delivery_id:
            queue.sort(key=lambda one: one.delivery_id)

    async def _lead(self, certificate_id: str) -> None:
        """Send all that waits for a certificate, one after another, each until Temporal has it."""
        queue = self._queues[certificate_id]
        pause = FIRST_PAUSE
        while queue:
            delivery = queue[0]
            if await self._is_sent(delivery):
                if pause > FIRST_PAUSE:
                    self._trouble.over(ONE_SIGNAL)
                queue.remove(delivery)
                self._sent.append(delivery.delivery_id)
                self._any_sent.set()
                pause = FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        del self._queues[certificate_id]

    async def _is_sent(self, delivery: UnsentDelivery) -> bool:
        async with self._slots:
            try:
                await self._signal.send(delivery)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and this one is tried again
                part = ONE_SIGNAL if _is_its_own_fault(error) else TEMPORAL
                await self._trouble.goes_on(part, error)
                return False
        self._trouble.over(TEMPORAL)
        return True

    async def _mark_for_ever(self) -> None:
        while True:
            await self._any_sent.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._any_sent.clear()
            sent, self._sent = self._sent, []
            await self._mark(sent)

    async def _mark(self, sent: list[int]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with self._engine.begin() as connection:
                    await DeliveryRepository(connection).mark_sent(sent)
            except Exception as error:  # noqa: BLE001 - whatever it is: unmarked, they hold their room here for ever
                await self._trouble.goes_on(MARKING, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._trouble.over(MARKING)
                self._held.difference_update(sent)
                return


def _is_its_own_fault(error: Exception) -> bool:
    """Whether this signal is refused, rather than Temporal away (which a first connection says by RuntimeError)."""
    if isinstance(error, RPCError):
        return error.status in _REFUSALS
    return isinstance(error, ValueError | TypeError | LookupError)
