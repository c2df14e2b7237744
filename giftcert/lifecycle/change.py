"""The one transaction that changes a certificate, whoever causes it: its workflow, a channel, CRM or support.

Locks are taken in one order everywhere: orders, certificate, order lines, pending rows, each sorted. What waits is read
when the locks are held; what comes later stays pending. The caller sends the wakes after the commit; the sweep sends
those that are lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from giftcert.domain.certificate import messages as m
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.effects import Effects, freed_wake
from giftcert.lifecycle.idempotency import (
    CallsInProgress,
    IdempotencyBusyError,
    IdempotencyKey,
    find_answer,
)
from giftcert.lifecycle.refund_shares import SharesSaid, lock_order, order_of_case
from giftcert.lifecycle.release_gate import ReleaseGate
from giftcert.lifecycle.requests import AnswerOf, Call, Outcome
from giftcert.lifecycle.review import MayRelease, Review
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import (
    AlreadyAnsweredError,
    CertificateRepository,
    Driver,
    LoadedCertificate,
    LockRequest,
    UnknownCertificateError,
    load_locked,
    lock,
    read_idle,
)
from giftcert.storage.decisions import DecisionWrite, write
from giftcert.storage.engine import autocommit, driver_of
from giftcert.storage.pending import PendingRepository
from giftcert.temporal.signals import Wake

__all__ = ["Lifecycle", "Outcome", "UnknownCertificateError"]

PATIENCE = timedelta(seconds=4)
"""How long a workflow waits for a lock; then Temporal has it try again."""
ATTEMPTS = 3
WITHOUT_LINES = (m.AuthorizeRedemption, m.DiscloseCvc)
"""Requests whose decision reads no order line of a certificate that is in a buyer's hands."""


class Lifecycle:
    """Changes certificates on one process's connections."""

    def __init__(
        self,
        engine: AsyncEngine,
        policy: Policy,
        keyring: Keyring,
        *,
        web_url: Callable[[str], str],
        build: str,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._keyring = keyring
        self._web_url = web_url
        self._build = build
        self._calls = CallsInProgress()

    async def advance(
        self,
        certificate_id: str,
        now: datetime,
        *,
        timer_at: datetime | None = None,
        first: bool = False,
        retry_parked: bool = False,
    ) -> Snapshot:
        """Decide what is pending and due.

        Args:
            certificate_id: which one.
            now: the caller's clock; no decision is before the last one.
            timer_at: what the run's timer is set to.
            first: whether it is the run's first look, so that the sealed secrets are wanted.
            retry_parked: whether to try again what could not be decided.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        wanted = LockRequest(certificate_id=certificate_id, answers_since=now, patience=PATIENCE)
        async with self._transaction() as (connection, driver):
            loaded = await load_locked(driver, wanted, await lock(driver, wanted))
            review = self._review(loaded, now)
            review.decide_pending(retry_parked=retry_parked)
            await review.pass_deadlines(self._gate(driver, review), retry_parked=retry_parked)
            effects = Effects(loaded, review, self._policy)
            wakes = await self._write(connection, driver, effects, effects.to_write(effects.timer(timer_at)))
        return effects.snapshot(tuple(wakes), first=first)

    async def act(
        self,
        certificate_id: str,
        request: m.Request,
        now: datetime,
        *,
        key: IdempotencyKey | None = None,
        answer: AnswerOf | None = None,
        seen: LoadedCertificate | None = None,
    ) -> Outcome:
        """Carry a request out, or say why not; whatever else waits for the certificate is decided first.

        Args:
            certificate_id: of which certificate.
            request: what is wanted.
            now: the caller's clock.
            key: under which the answer is remembered, on success.
            answer: makes that answer.
            seen: the certificate as it was read a moment ago, idle; so it need not be read again.

        Raises:
            UnknownCertificateError: there is no such certificate.
            IdempotencyMismatchError: the key was used with other parameters.
            IdempotencyBusyError: the first call under the key still runs.
        """
        call = Call(
            certificate_id=certificate_id, request=request, now=now, key=key, answer_of=answer, seen=seen
        )
        async with self._calls.alone(key):
            for _ in range(ATTEMPTS):
                try:
                    return await self._act_unlocked(call) or await self._act(call)
                except AlreadyAnsweredError:
                    repeated = await self._repeated(call)
                    if repeated is not None:
                        return repeated
        raise IdempotencyBusyError

    async def _act(self, call: Call) -> Outcome:
        request, order_id = call.request, await self._order_to_lock(call)
        wanted = call.to_lock(order_id)
        async with self._transaction() as (connection, driver):
            order = await lock_order(connection, order_id) if order_id else None
            loaded = await load_locked(driver, wanted, await lock(driver, wanted))
            review = self._review(loaded, call.now)
            gate = self._gate(driver, review)
            review.decide_pending(retry_parked=False)
            await review.pass_deadlines(gate, retry_parked=False)
            shares = None
            if isinstance(request, m.ResolveRefund) and order is not None:
                shares = await SharesSaid.of(connection, review, request, order, self._policy)
            decided = review.decide_request(request)
            await review.pass_deadlines(gate, retry_parked=False)
            effects = Effects(loaded, review, self._policy)
            outcome = call.outcome(loaded.stored, review.state, decided.recorded, decided.refusal)
            decision = effects.to_write(loaded.stored.timer_at, call.answer(outcome, review.now))
            said = shares if outcome.refusal is None else None
            wakes = await self._write(connection, driver, effects, decision, said)
        return replace(outcome, wakes=(*wakes, *effects.wake_of(request)))

    async def _act_unlocked(self, call: Call) -> Outcome | None:
        """Carry a request out that needs no lines, if nothing else is to be decided; ``None``: under locks, then.

        Without BEGIN, locks and COMMIT it takes two trips instead of five. The write is undone where anything came in
        between.
        """
        if not isinstance(call.request, WITHOUT_LINES):
            return None
        async with autocommit(self._engine) as driver:
            loaded = call.seen or await read_idle(driver, call.to_lock(), call.now)
            if loaded is None:
                return None
            review = self._review(loaded, call.now)
            decided = review.decide_request(call.request)
            effects = Effects(loaded, review, self._policy)
            outcome = call.outcome(loaded.stored, review.state, decided.recorded, decided.refusal)
            decision = effects.to_write(loaded.stored.timer_at, call.answer(outcome, review.now))
            if decision is not None and not await write(driver, decision):
                return None
        return replace(outcome, wakes=tuple(effects.wake_of(call.request)))

    async def _repeated(self, call: Call) -> Outcome | None:
        """Return what was answered before under the call's key, with the certificate as it now stands."""
        if call.key is None:
            return None
        async with self._engine.connect() as connection:
            answer = await find_answer(connection, call.key, call.now)
            if answer is None:  # it has just become too old
                return None
            stored = await CertificateRepository(connection).load(call.certificate_id)
        return Outcome(state=stored.state, product=stored.product, repeated=True, answer=answer)

    # The parts of the transaction -----------------------------------------------------------------

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[tuple[AsyncConnection, Driver]]:
        async with self._engine.connect() as connection:
            driver = await driver_of(connection)
            try:
                async with driver.transaction():
                    yield connection, driver
            except asyncio.CancelledError:
                # Cancelled in the middle of BEGIN it would go back to the pool with a transaction open.
                await connection.invalidate()
                raise

    async def _order_to_lock(self, call: Call) -> str | None:
        """Return the order that a request speaks of: it is locked before the certificate."""
        if not isinstance(call.request, m.ResolveRefund):
            return None
        return await order_of_case(self._engine, call.certificate_id, call.request.refund_case_id)

    def _review(self, loaded: LoadedCertificate, now: datetime) -> Review:
        stored = loaded.stored
        web_url = self._web_url(stored.state.certificate_id)
        terms = Terms(stored.product, self._policy, web_url, loaded.clients)
        instant = max(now, stored.decided_at) if stored.decided_at else now
        return Review(loaded, terms, instant, lambda: str(uuid7()), self._build)

    def _gate(self, driver: Driver, review: Review) -> MayRelease:
        gate = ReleaseGate(driver, self._keyring)
        return lambda deadline: gate.is_open(deadline, review.state, review.decided, review.applied)

    async def _write(
        self,
        connection: AsyncConnection,
        driver: Driver,
        effects: Effects,
        decision: DecisionWrite | None,
        shares: SharesSaid | None = None,
    ) -> list[Wake]:
        """Write the effects of a review; return whom the commit concerns."""
        rows = effects.freed_rows()
        wakes = [freed_wake(row) for row in rows]
        if shares is not None:
            wakes += await shares.save(connection, effects.review.now, rows)
        elif rows:
            await PendingRepository(connection).add(rows, effects.review.now)
        if decision is not None and not await write(driver, decision):
            raise AlreadyAnsweredError
        return wakes
