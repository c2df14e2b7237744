"""Signaller: one signal per kind, certificate and burst, sent after the commit of its cause."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from structlog.contextvars import bind_contextvars
from temporalio.service import RPCError, RPCStatusCode

from giftcert import tracing
from giftcert.clock import Clock, utc_now
from giftcert.storage.database import Database
from giftcert.storage.pending import PendingRepository
from giftcert.temporal.signals import Wake
from kafka_ingest.outages import IngestOutages

AT_ONCE = 64
BACKLOG = 20_000
"""Certificates kept in memory; beyond it they wait in the database for the sweep."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
MARK_SECONDS = 2.0
"""What is pending so long after its signal is marked as signalled, so that the sweep waits; most is decided by then."""
TEMPORAL, ONE_SIGNAL, PART = "Temporal", "a signal", "marking of signals"
_REFUSALS = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.OUT_OF_RANGE}
)
_SIGNALS = Counter("giftcert_ingest_signals", "Signals that Temporal has taken, by kind", ["kind"])
Send = Callable[[Wake], Awaitable[object]]


@dataclass(slots=True)
class Signaller:
    """Sends what it is handed, in order for each certificate. A lost or repeated signal does no harm: it only wakes."""

    database: Database
    send: Send
    outages: IngestOutages
    clock: Clock = utc_now
    _queues: dict[str, list[Wake]] = field(default_factory=dict, init=False)
    _sent: dict[str, datetime] = field(default_factory=dict, init=False)
    _slots: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, AT_ONCE), init=False)
    _senders: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    def take(self, wakes: Iterable[Wake]) -> None:
        """Take signals to be sent from now on; one of a kind that still waits for its certificate says enough."""
        for wake in wakes:
            queue = self._queues.get(wake.certificate_id)
            if queue is None and len(self._queues) < BACKLOG:
                self._queues[wake.certificate_id] = [wake]
                sender = asyncio.create_task(self._send_all(wake.certificate_id))
                self._senders.add(sender)
                sender.add_done_callback(self._senders.discard)
            elif queue is not None and all(one.signal is not wake.signal for one in queue):
                queue.append(wake)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the context lasts; leaving it stops sending, the sweep finds the rest."""
        self._senders.add(asyncio.create_task(self.outages.repeat(PART, self._mark)))
        try:
            yield
        finally:
            for task in self._senders:
                task.cancel()
            await asyncio.gather(*self._senders, return_exceptions=True)

    async def _send_all(self, certificate_id: str) -> None:
        """Send all that waits for a certificate; while Temporal is away, only those that hold a slot ask for it."""
        queue = self._queues[certificate_id]
        async with self._slots:
            while queue:
                bind_contextvars(certificate_id=certificate_id, order_id=queue[0].order_id)
                if await self._is_sent(queue[0]):
                    self._sent[certificate_id] = self.clock()
                queue.pop(0)
        del self._queues[certificate_id]

    async def _is_sent(self, wake: Wake) -> bool:
        """Send until Temporal has it; return ``False`` if it is refused, so that the sweep tries it again later."""
        pause = FIRST_PAUSE
        while True:
            try:
                with tracing.span(f"signal {wake.signal.value}", SpanKind.CLIENT, attributes=about(wake)):
                    await self.send(wake)
            except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
                if _is_its_own_fault(error):
                    await self.outages.goes_on(ONE_SIGNAL, error)
                    return False
                await self.outages.goes_on(TEMPORAL, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.outages.over(TEMPORAL)
                self.outages.over(ONE_SIGNAL)
                _SIGNALS.labels(wake.signal.value).inc()
                return True

    async def _mark(self) -> float:
        before = self.clock().timestamp() - MARK_SECONDS
        sent = {one: at for one, at in self._sent.items() if at.timestamp() <= before}
        if sent:
            async with self.database.transaction() as connection:
                await PendingRepository(connection).mark_signalled(sent)
            self._sent = dict(self._sent.items() - sent.items())
        return MARK_SECONDS / 2


def about(wake: Wake) -> dict[str, str]:
    """Return what a span says of a signal."""
    return {"giftcert.certificate_id": wake.certificate_id} | (
        {"giftcert.order_id": wake.order_id} if wake.order_id else {}
    )


def _is_its_own_fault(error: Exception) -> bool:
    """Whether this signal is refused, rather than Temporal away, of which a first connection raises RuntimeError."""
    if isinstance(error, RPCError):
        return error.status in _REFUSALS
    return isinstance(error, ValueError | TypeError | LookupError)
