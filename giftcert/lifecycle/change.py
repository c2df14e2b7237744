"""The one transaction that changes a certificate, whoever causes it: its workflow, a channel, CRM or support.

Locks are taken in one order everywhere: orders, certificate, order lines, pending rows, each sorted. What waits is read
when the locks are held; what comes later stays pending. The caller sends the wakes after the commit; the sweep sends
those that are lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from uuid_utils.compat import uuid7

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline, is_over
from giftcert.domain.certificate.resolution import shares_decided
from giftcert.domain.certificate.state import CertificateState, Line
from giftcert.domain.order.order import apply
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle import order_changes
from giftcert.lifecycle.idempotency import (
    CallsInProgress,
    IdempotencyBusyError,
    IdempotencyKey,
    find_answer,
)
from giftcert.lifecycle.release_gate import ReleaseGate
from giftcert.lifecycle.requests import AnswerOf, Outcome
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets, Snapshot
from giftcert.lifecycle.visibility import details, visibility, waiting_for
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
from giftcert.storage.decisions import DecisionWrite, Disclosure, write
from giftcert.storage.engine import autocommit, driver_of
from giftcert.storage.idempotency import REMEMBERED_FOR, Answer
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository, StoredOrder
from giftcert.storage.pending import PendingRepository, PendingRow
from giftcert.temporal.signals import Signal, Wake

__all__ = ["Lifecycle", "Outcome", "UnknownCertificateError"]

WORKFLOW_PATIENCE = timedelta(seconds=4)
REQUEST_PATIENCE = timedelta(seconds=2)
"""How long a caller waits for a lock before 503; also how long a repeat in another process waits for the first."""
ATTEMPTS = 3
WITHOUT_LINES = (m.AuthorizeRedemption, m.DiscloseCvc)
"""Requests whose decision reads no order line."""


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
        request = LockRequest(certificate_id=certificate_id, answers_since=now, patience=WORKFLOW_PATIENCE)
        async with self._transaction() as (connection, driver):
            loaded = await load_locked(driver, request, await lock(driver, request))
            review = self._review(loaded, now)
            await self._decide_all(driver, review, retry_parked=retry_parked)
            over = is_over(review.state, self._policy) and not (review.parked or review.is_behind)
            timer = None if over else _earlier(timer_at, _next_instant(review, over=over))
            wakes = await self._write(connection, driver, loaded, review, timer_at=timer)
        return self._snapshot(loaded, review, over=over, first=first, wakes=wakes)

    async def act(
        self,
        certificate_id: str,
        request: m.Request,
        now: datetime,
        *,
        key: IdempotencyKey | None = None,
        answer: AnswerOf | None = None,
    ) -> Outcome:
        """Carry a request out, or say why not; whatever else waits for the certificate is decided first.

        Args:
            certificate_id: of which certificate.
            request: what is wanted.
            now: the caller's clock.
            key: under which the answer is remembered, on success.
            answer: makes that answer.

        Raises:
            UnknownCertificateError: there is no such certificate.
            IdempotencyMismatchError: the key was used with other parameters.
            IdempotencyBusyError: the first call under the key still runs.
        """
        async with self._calls.alone(key):
            for _ in range(ATTEMPTS):
                try:
                    outcome = await self._act_unlocked(certificate_id, request, now, key, answer)
                    return outcome or await self._act(certificate_id, request, now, key, answer)
                except AlreadyAnsweredError:
                    assert key is not None  # noqa: S101 - nothing else has been answered
                    repeated = await self._repeated(certificate_id, key, now)
                    if repeated is not None:
                        return repeated
        raise IdempotencyBusyError

    async def _act_unlocked(
        self,
        certificate_id: str,
        request: m.Request,
        now: datetime,
        key: IdempotencyKey | None,
        answer: AnswerOf | None,
    ) -> Outcome | None:
        """Carry a request out that needs no lines, if nothing else is to be decided; ``None``: under locks, then.

        Without BEGIN, locks and COMMIT it takes two trips instead of five. The write is undone where anything came in
        between.
        """
        if not isinstance(request, WITHOUT_LINES):
            return None
        async with autocommit(self._engine) as driver:
            loaded = await read_idle(driver, _wanted(certificate_id, key, now), now)
            if loaded is None:
                return None
            review = self._review(loaded, now)
            refusal = review.decide_request(request)
            outcome = _outcome(loaded, review, request, refusal, tuple(review.recorded), key, answer)
            timer_at = loaded.stored.timer_at
            decision = self._decision(loaded, review, timer_at, _answer(outcome, key, review.now))
            if _changes(loaded, decision) and not await write(driver, decision):
                return None
        return replace(outcome, wakes=tuple(_own_wake(review, request)))

    async def _act(
        self,
        certificate_id: str,
        request: m.Request,
        now: datetime,
        key: IdempotencyKey | None,
        answer: AnswerOf | None,
    ) -> Outcome:
        if isinstance(request, m.ResolveRefund):
            order_id = await self._order_of(certificate_id, request.refund_case_id)
        else:
            order_id = None
        wanted = _wanted(certificate_id, key, now, order_id)
        async with self._transaction() as (connection, driver):
            orders = await OrderRepository(connection).lock([order_id]) if order_id else {}
            loaded = await load_locked(driver, wanted, await lock(driver, wanted))
            review = self._review(loaded, now)
            await self._decide_all(driver, review)
            told = len(review.recorded)
            shares = await self._shares(connection, review, request, orders)
            refusal = review.decide_request(request)
            recorded = tuple(review.recorded[told:])
            await self._decide_all(driver, review, only_deadlines=True)
            outcome = _outcome(loaded, review, request, refusal, recorded, key, answer)
            wakes = await self._write(
                connection,
                driver,
                loaded,
                review,
                timer_at=loaded.stored.timer_at,
                answer=_answer(outcome, key, review.now),
                shares=shares if refusal is None else None,
            )
        return replace(outcome, wakes=(*wakes, *_own_wake(review, request)))

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

    def _review(self, loaded: LoadedCertificate, now: datetime) -> Review:
        stored = loaded.stored
        terms = Terms(
            stored.product, self._policy, self._web_url(stored.state.certificate_id), loaded.clients
        )
        instant = max(now, stored.decided_at) if stored.decided_at else now
        return Review(loaded, terms, instant, lambda: str(uuid7()), self._build)

    async def _decide_all(
        self, driver: Driver, review: Review, *, retry_parked: bool = False, only_deadlines: bool = False
    ) -> None:
        gate = ReleaseGate(driver, self._keyring)

        async def may_release(deadline: Deadline) -> bool:
            return await gate.is_open(deadline, review.state, review.decided, review.applied)

        if not only_deadlines:
            review.decide_pending(retry_parked=retry_parked)
        await review.pass_deadlines(may_release, retry_parked=retry_parked)

    async def _write(
        self,
        connection: AsyncConnection,
        driver: Driver,
        loaded: LoadedCertificate,
        review: Review,
        *,
        timer_at: datetime | None,
        answer: Answer | None = None,
        shares: "SharesSaid | None" = None,
    ) -> tuple[Wake, ...]:
        """Write what the review changed; return whom the commit concerns."""
        decision = self._decision(loaded, review, timer_at, answer)
        freed = review.freed()
        wakes = [_freed_wake(line, waiter) for line, waiter in freed]
        rows = [_freed_row(line, waiter) for line, waiter in freed]
        if shares is not None:
            wakes += await order_changes.save(
                connection, [shares.change], shares.revisions, shares.products, review.now, also=rows
            )
        elif rows:
            await PendingRepository(connection).add(rows, review.now)
        if _changes(loaded, decision) and not await write(driver, decision):
            raise AlreadyAnsweredError
        return tuple(wakes)

    def _decision(
        self, loaded: LoadedCertificate, review: Review, timer_at: datetime | None, answer: Answer | None
    ) -> DecisionWrite:
        over = is_over(review.state, self._policy)
        before, state = loaded.stored.state, review.state
        known = {one.redemption_id: one for one in before.redemptions}
        return DecisionWrite(
            state=state,
            at=review.now,
            version=loaded.stored.version,
            sequence=loaded.stored.sequence,
            records=review.records,
            next_instant=_next_instant(review, over=over),
            timer_at=timer_at,
            parked=review.parked,
            lines=[(line, row.report) for line, row in review.changed_lines()],
            pending=review.decided,
            spendings=review.applied,
            redemptions=[one for one in state.redemptions if known.get(one.redemption_id) != one],
            reservation_changed=state.reservation != before.reservation,
            resolution=review.resolution,
            disclosures=_disclosures(loaded, review),
            is_unlocked=review.is_unlocked,
            answer=answer,
        )

    def _snapshot(
        self, loaded: LoadedCertificate, review: Review, *, over: bool, first: bool, wakes: tuple[Wake, ...]
    ) -> Snapshot:
        next_instant = _next_instant(review, over=over)
        words = details(review.state, next_instant)
        if review.parked:
            words += (
                f"\n\n**{len(review.parked)} messages could not be decided**, for a fault of the service."
            )
        return Snapshot(
            status=review.state.shown_status,
            over=over,
            next_instant=next_instant,
            details=words,
            waiting_for=waiting_for(review.state),
            visibility=visibility(review.state),
            sealed=_sealed(loaded) if first else None,
            wakes=wakes,
        )

    # Requests -------------------------------------------------------------------------------------

    async def _repeated(self, certificate_id: str, key: IdempotencyKey, now: datetime) -> Outcome | None:
        async with self._engine.connect() as connection:
            answer = await find_answer(connection, key, now)
            if answer is None:  # it has just become too old
                return None
            stored = await CertificateRepository(connection).load(certificate_id)
        return Outcome(state=stored.state, product=stored.product, repeated=True, answer=answer)

    async def _order_of(self, certificate_id: str, refund_case_id: str) -> str | None:
        """Return the order whose refund a case is; it has to be locked first, and never changes."""
        async with self._engine.connect() as connection:
            state = (await CertificateRepository(connection).load(certificate_id)).state
        return next(
            (
                sale.order_id
                for sale in state.sales
                for case in sale.cases
                if case.refund_case_id == refund_case_id
            ),
            None,
        )

    async def _shares(
        self,
        connection: AsyncConnection,
        review: Review,
        request: m.Request,
        orders: dict[str, StoredOrder],
    ) -> "SharesSaid | None":
        """Let the order know what a decision says of its refund, and show the review how its lines then stand."""
        if not isinstance(request, m.ResolveRefund):
            return None
        shares = shares_decided(review.state, request, self._policy)
        if not shares or shares[0].order_id not in orders:
            return None
        order = orders[shares[0].order_id].order
        for share in shares:
            order = apply(order, share, review.now)
        rows = await OrderLineRepository(connection).lock([order.order_id])
        change = order_changes.OrderChange(order=order, said=shares)
        revisions, products = await order_changes.revise(connection, [change], rows, self._policy)
        review.see_standings([one.line for one in revisions])
        return SharesSaid(change, tuple(revisions), products)


@dataclass(frozen=True, slots=True)
class SharesSaid:
    """What a decision about a refund says to the order, and how that changes its lines."""

    change: order_changes.OrderChange
    revisions: tuple[order_changes.LineRevision, ...]
    products: dict[str, str]


def _wanted(
    certificate_id: str, key: IdempotencyKey | None, now: datetime, order_id: str | None = None
) -> LockRequest:
    return LockRequest(
        certificate_id=certificate_id,
        caller_key=key.caller_key if key else None,
        answers_since=now - REMEMBERED_FOR,
        order_id=order_id,
        patience=REQUEST_PATIENCE,
    )


def _outcome(
    loaded: LoadedCertificate,
    review: Review,
    request: m.Request,
    refusal: StrEnum | None,
    recorded: tuple[e.Recorded, ...],
    key: IdempotencyKey | None,
    answer: AnswerOf | None,
) -> Outcome:
    is_disclosed = isinstance(request, m.DiscloseCvc) and refusal is None
    outcome = Outcome(
        state=review.state,
        product=loaded.stored.product,
        recorded=recorded,
        refusal=refusal,
        sealed=_sealed(loaded) if is_disclosed else None,
    )
    if refusal is None and key is not None:
        return replace(outcome, answer=msgspec.json.encode(answer(outcome) if answer else {}))
    return outcome


def _next_instant(review: Review, *, over: bool) -> datetime | None:
    """A certificate that is over needs no look of its own: what is for sale is led by set statements."""
    return None if over else review.next_instant


def _earlier(timer_at: datetime | None, next_instant: datetime | None) -> datetime | None:
    """Return what the run's timer will be set to: it is moved only where the next instant comes earlier."""
    if timer_at is not None and (next_instant is None or timer_at <= next_instant):
        return timer_at
    return next_instant


def _changes(loaded: LoadedCertificate, decision: DecisionWrite) -> bool:
    """Return whether there is anything to write."""
    stored = loaded.stored
    rest = (decision.records, decision.lines, decision.pending, decision.spendings, decision.answer)
    return any(rest) or (stored.state, stored.next_instant, stored.timer_at, stored.parked) != (
        replace(decision.state, lines=()),
        decision.next_instant,
        decision.timer_at,
        decision.parked,
    )


def _sealed(loaded: LoadedCertificate) -> SealedSecrets:
    return SealedSecrets(number_sealed=loaded.stored.number_sealed, cvc_sealed=loaded.stored.cvc_sealed)


def _answer(outcome: Outcome, key: IdempotencyKey | None, now: datetime) -> Answer | None:
    if key is None or outcome.answer is None:
        return None
    return Answer(
        caller_key=key.caller_key,
        parameters=key.parameters,
        answer=outcome.answer.decode(),
        kept=key.kept,
        answered_at=now,
    )


def _disclosures(loaded: LoadedCertificate, review: Review) -> list[Disclosure]:
    """Return the disclosures among the events, each with the sequence number that its event gets."""
    return [
        Disclosure(
            disclosed_to=event.disclosed_to,
            purpose=event.purpose,
            notification_id=event.notification_id,
            sequence=loaded.stored.sequence + nth,
        )
        for nth, event in enumerate(review.public, 1)
        if isinstance(event, e.CvcDisclosed)
    ]


def _freed_row(line: Line, waiter: str) -> PendingRow:
    return PendingRow(
        certificate_id=waiter,
        order_id=line.ref.order_id,
        line_key=line.ref.line_key,
        kind=Signal.LINE_FREED,
        channel=line.standing.channel,
        cause=None,
    )


def _freed_wake(line: Line, waiter: str) -> Wake:
    return Wake(
        certificate_id=waiter,
        signal=Signal.LINE_FREED,
        channel=line.standing.channel,
        order_id=line.ref.order_id,
    )


def _own_wake(review: Review, request: m.Request) -> Sequence[Wake]:
    """Return the signal to the certificate's own run, if support would see a difference there."""
    before, state = review.before, review.state
    seen = (visibility(before), before.shown_status) != (visibility(state), state.shown_status)
    channel = _channel(state) or _channel(before)
    if not seen or channel is None or not (state.sales or state.waits_for):
        return ()
    return (
        Wake(
            certificate_id=state.certificate_id,
            signal=Signal.REQUEST_DECIDED,
            channel=channel,
            product=state.product,
            order_id=state.sales[-1].order_id if state.sales else None,
            cause=type(request).__name__,
        ),
    )


def _channel(state: CertificateState) -> str | None:
    """Return who sold the certificate last, on whose task queue a run of it is started."""
    channels = [sale.channel for sale in state.sales if sale.channel is not None]
    return channels[-1] if channels else state.sale_channel
