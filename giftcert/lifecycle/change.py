"""The one transaction that changes a certificate, whoever causes it: its workflow, a channel, CRM or support.

Locks are taken in one order everywhere: orders, certificate, order lines, pending rows, each sorted. What waits is read
under the locks; what comes later stays pending. The caller sends the wakes after the commit; the sweep sends lost ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from structlog.contextvars import bind_contextvars, bound_contextvars
from uuid_utils.compat import uuid7

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.cases import find_case
from giftcert.domain.certificate.refund_resolution import shares_decided
from giftcert.domain.order.order import Order, apply, settled
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle import order_changes
from giftcert.lifecycle.details import Wording, plain_wording
from giftcert.lifecycle.idempotency import CallsInProgress, IdempotencyBusyError
from giftcert.lifecycle.release_gate import ReleaseGate
from giftcert.lifecycle.requests import AnswerOf, Call, Outcome
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import Snapshot
from giftcert.lifecycle.visibility import names, own_wake, sealed_secrets, snapshot
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import (
    AlreadyAnsweredError,
    CertificateRepository,
    LoadedCertificate,
    LockRequest,
    UnknownCertificateError,
    load_locked,
    lock,
    read_idle,
)
from giftcert.storage.database import Connection, Database
from giftcert.storage.decisions import DecisionWrite, write
from giftcert.storage.event_texts import EventTextRepository
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyRepository
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository
from giftcert.temporal.signals import Wake

__all__ = ["Lifecycle", "Outcome", "UnknownCertificateError"]

# Of a decision about a refund: what it says to its order, how lines then stand, products of certificates.
Folded: TypeAlias = tuple[
    Sequence[order_changes.OrderChange], Sequence[order_changes.LineRevision], Mapping[str, str]
]
NOTHING_FOLDED: Folded = ((), (), {})
PATIENCE = timedelta(seconds=4)  # of a workflow for a lock; then Temporal has it try again
ATTEMPTS = 3
# Requests that read no order line of a certificate in a buyer's hands.
WITHOUT_LINES = (m.AuthorizeRedemption, m.DiscloseCvc)


class _UnsaidError(Exception):
    """A decision about a refund is refused as the order stands with what it says: so nothing is said at all."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(frozen=True)
class Lifecycle:
    """Changes certificates on one process's connections; ``build`` is that of its code, ``wording`` that of details."""

    database: Database
    policy: Policy
    keyring: Keyring
    _: KW_ONLY
    web_url: Callable[[str], str]
    build: str
    wording: Wording = field(default_factory=plain_wording)
    calls: CallsInProgress = field(default_factory=CallsInProgress, init=False)

    async def advance(
        self,
        certificate_id: str,
        now: datetime,
        *,
        timer_at: datetime | None = None,
        sealed_by: int = 0,
        retry_parked: bool = False,
    ) -> Snapshot:
        """Decide what is pending and due; raises ``UnknownCertificateError``.

        ``timer_at`` is what the run's timer is set to; unless ``sealed_by`` is the key of the secrets, it gets them
        sealed; ``retry_parked`` tries again what could not be decided.
        """
        bind_contextvars(certificate_id=certificate_id)
        wanted = LockRequest(certificate_id=certificate_id, answers_since=now, patience=PATIENCE)
        async with self.database.transaction() as connection:
            review = await self._review_locked(connection, wanted, now, retry_parked=retry_parked)
            run_key = None if review.is_over else sealed_secrets(review).key_id
            decision = review.to_write(review.timer(timer_at), run_key)
            wakes = await self._write(connection, review, decision)
            masks = await EventTextRepository(connection, self.keyring).masks(names(review.state))
        return snapshot(review, tuple(wakes), self.wording, sealed_by=sealed_by, masks=masks)

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

        ``answer`` makes what is remembered under ``key``, on success. ``seen``: the certificate as it was read a moment
        ago, idle, so that it need not be read again.

        Raises:
            UnknownCertificateError: there is no such certificate.
            IdempotencyMismatchError: the key was used with other parameters.
            IdempotencyBusyError: the first call under the key still runs.
        """
        call = Call(
            certificate_id=certificate_id, request=request, now=now, key=key, answer_of=answer, seen=seen
        )
        with bound_contextvars(certificate_id=certificate_id):
            async with self.calls.alone(key):
                for _ in range(ATTEMPTS):
                    try:
                        return await self._act_unlocked(call) or await self._act(call)
                    except _UnsaidError as unsaid:
                        return unsaid.outcome
                    except AlreadyAnsweredError:
                        repeated = await self._repeated(call)
                        if repeated is not None:
                            return repeated
        raise IdempotencyBusyError

    async def _act(self, call: Call) -> Outcome:
        request, order_id = call.request, await self._order_to_lock(call)
        async with self.database.transaction() as connection:
            orders = await OrderRepository(connection).lock([order_id]) if order_id else {}
            review = await self._review_locked(connection, call.to_lock(order_id), call.now)
            folded = NOTHING_FOLDED
            if isinstance(request, m.ResolveRefund) and order_id:
                folded = await self._fold_shares(connection, review, request, orders[order_id].order)
            decided = review.decide_request(request)
            await review.pass_deadlines()
            outcome, answer = call.conclude(review, decided)
            if decided.refusal is not None and folded is not NOTHING_FOLDED:
                raise _UnsaidError(outcome)
            stored = review.loaded.stored
            decision = review.to_write(stored.timer_at, stored.run_key, answer)
            wakes = await self._write(connection, review, decision, folded)
        return replace(outcome, wakes=(*wakes, *own_wake(review, request)))

    async def _act_unlocked(self, call: Call) -> Outcome | None:
        """Carry out in two trips instead of five what needs no lines; ``None``: something else is to be decided."""
        if not isinstance(call.request, WITHOUT_LINES):
            return None
        async with self.database.connection() as connection:
            loaded = call.seen or await read_idle(connection, call.to_lock(), call.now)
            if loaded is None:
                return None
            review = self._review(connection, loaded, call.now)
            outcome, answer = call.conclude(review, review.decide_request(call.request))
            decision = review.to_write(loaded.stored.timer_at, loaded.stored.run_key, answer)
            if decision is not None and not await write(connection, decision, self.keyring):
                return None
        return outcome

    async def _repeated(self, call: Call) -> Outcome | None:
        """What was answered before under the call's key, with the certificate as it now stands."""
        if call.key is None:
            return None
        async with self.database.connection() as connection:
            answer = await IdempotencyRepository(connection).find(call.key, call.now)
            if answer is None:  # it has just become too old
                return None
            stored = await CertificateRepository(connection).load(call.certificate_id)
        return Outcome(state=stored.state, product=stored.product, repeated=True, answer=answer)

    async def _order_to_lock(self, call: Call) -> str | None:
        """The order whose refund a request decides, which never changes: locked before the certificate."""
        if not isinstance(call.request, m.ResolveRefund):
            return None
        async with self.database.connection() as connection:
            stored = await CertificateRepository(connection).load(call.certificate_id)
        found = find_case(stored.state, call.request.refund_case_id)
        return found[0].order_id if found else None

    async def _review_locked(
        self, connection: Connection, wanted: LockRequest, now: datetime, *, retry_parked: bool = False
    ) -> Review:
        loaded = await load_locked(connection, wanted, await lock(connection, wanted))
        review = self._review(connection, loaded, now, retry_parked=retry_parked)
        review.decide_pending()
        await review.pass_deadlines()
        return review

    def _review(
        self, connection: Connection, loaded: LoadedCertificate, now: datetime, *, retry_parked: bool = False
    ) -> Review:
        stored = loaded.stored
        web_url = self.web_url(stored.state.certificate_id)
        return Review(
            loaded,
            Terms(stored.product, self.policy, web_url, loaded.clients),
            max(now, stored.decided_at or now),
            lambda: str(uuid7()),
            self.build,
            ReleaseGate(connection, self.keyring).is_open,
            retry_parked=retry_parked,
        )

    async def _fold_shares(
        self, connection: Connection, review: Review, request: m.ResolveRefund, order: Order
    ) -> Folded:
        """Fold what a decision says of a refund into its locked order, and show the review the new standings."""
        shares = shares_decided(review.state, request, self.policy)
        if not shares:
            return NOTHING_FOLDED
        for share in shares:
            order = apply(order, share, review.now)
        changes = [order_changes.OrderChange(order=settled(order), said=shares)]
        rows = await OrderLineRepository(connection).lock([order.order_id])
        revisions, products = await order_changes.revise(connection, changes, rows, self.policy)
        review.see_standings(one.line for one in revisions)
        return changes, revisions, products

    async def _write(
        self,
        connection: Connection,
        review: Review,
        decision: DecisionWrite | None,
        folded: Folded = NOTHING_FOLDED,
    ) -> list[Wake]:
        """Write what came of a review; return whom the commit concerns."""
        freed = review.freed()
        wakes = await order_changes.save(connection, *folded, review.now, also=freed)
        if decision is not None and not await write(connection, decision, self.keyring):
            raise AlreadyAnsweredError
        return [*map(order_changes.wake_of, freed), *wakes]
