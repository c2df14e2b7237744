"""Everybody at once on few orders and certificates: ingest, workflows, people, erasure, sweep, claims, dispatch.

Each actor takes random steps on connections of its own. Afterwards all that still waits is decided, and what is stored
must be what the newest standings ask for.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from uuid import uuid4

import asyncpg
import msgspec

from giftcert.contracts.clients import ERASED, ClientRecord
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.state import CertificateState, Line
from giftcert.domain.certificate.words import RejectionReason
from giftcert.domain.clients import Recipient
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.messages import OrderMessage
from giftcert.domain.policy import Terms
from giftcert.lifecycle.change import Outcome
from giftcert.lifecycle.review import line_as_seen
from giftcert.storage import ingest_fences
from giftcert.storage.certificates import LockRequest, load_locked
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.clients import ClientRepository
from giftcert.storage.database import Database
from giftcert.storage.erasures import ErasureRepository
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository
from giftcert.storage.outbox import OutboxRepository
from giftcert.storage.pending import PendingRepository
from giftcert.storage.reservations import ReservationRepository
from giftcert.storage.sweep import SweepRepository
from tests.integration.lifecycle.world import (
    GIFT,
    ORDERS,
    PAYMENTS,
    START,
    WORTH,
    World,
    authorized,
    cancelled,
    captured,
    goods,
    refunded,
    returned,
    sold,
    spent,
    stated,
    voided,
)

Step = Callable[[Random], Awaitable[None]]
ROUNDS = 20
"""More looks than any certificate needs to come to rest."""


@dataclass
class Crowd:
    """One run on the certificates of a world, with orders and clients of its own."""

    world: World
    certificates: list[str]
    orders: list[str] = field(default_factory=lambda: [f"IM-{uuid4().hex[:8]}" for _ in range(3)])
    clients: list[str] = field(default_factory=lambda: [f"C-{uuid4().hex[:8]}" for _ in range(2)])
    answered: dict[bytes, list[Outcome]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[bytes, list[str]] = field(default_factory=lambda: defaultdict(list))
    _stored: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _payments: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def run(self, seed: int, steps: int) -> None:
        """Let everybody take so many steps; whatever is raised, deadlocks first of all, is raised."""
        actors: list[Step] = [
            self.ingest_orders,
            self.ingest_payments,
            self.look,
            self.look,
            self.ask,
            self.ask,
            self.erase,
            self.sweep,
            self.publish,
            self.use_the_pool,
        ]
        async with asyncio.TaskGroup() as group:
            for nth, actor in enumerate(actors):
                group.create_task(self._act(actor, Random(f"{seed}-{nth}"), steps))
        await self.come_to_rest()

    async def _act(self, step: Step, random: Random, steps: int) -> None:
        for _ in range(steps):
            await step(random)
            if random.random() < 0.02:
                self.world.pass_time(timedelta(hours=random.choice((1, 30, 80))))

    # Ingest ---------------------------------------------------------------------------------------

    async def ingest_orders(self, random: Random) -> None:
        """A batch of versions of some orders, each for a recipient, with what CRM says of a client."""
        async with self._read(ORDERS):
            orders = sorted(random.sample(self.orders, random.randint(1, 2)))
            batch = {order_id: [self._version(random, order_id)] for order_id in orders}
            recipients = {str(line): Recipient(ref=f"R-{line}") for line in range(4)}
            await self.world.ingest(batch, recipients=recipients)
            self._stored.update(orders)

    async def ingest_payments(self, random: Random) -> None:
        """A batch of payments of some orders; those with a certificate as tender spend it."""
        async with self._read(PAYMENTS):
            orders = sorted(random.sample(self.orders, random.randint(1, 2)))
            batch = {one: [self._payment(random, one)] for one in orders if one in self._stored}
            spendings = []
            if random.random() < 0.4:
                kind = random.choice(list(m.SpendingKind))
                spending = spent(
                    kind, random.choice((100, 200_000)), f"R-{random.randint(0, 9)}", refund_id="RF"
                )
                spendings = [(random.choice(self.certificates), spending)]
            await self.world.ingest(batch, spendings=spendings)

    def _version(self, random: Random, order_id: str) -> OrderMessage:
        self._versions[order_id] += 1
        version, at = self._versions[order_id], self.world.now
        kind = random.random()
        if version > 1 and kind < 0.15:
            return cancelled(order_id, version, *random.choice(((), ("1",))), at=at)
        if version > 1 and kind < 0.25:
            return returned(order_id, version, random.choice("12"), at=at)
        chosen = random.sample(self.certificates, random.randint(1, 2))
        lines = [
            sold(one, str(nth), random.choice((WORTH, WORTH, 450_000))) for nth, one in enumerate(chosen, 1)
        ]
        extra = [goods("9", 250_000)] if random.random() < 0.3 else []
        return stated(order_id, version, *lines, *extra, at=at, customer_id=random.choice(self.clients))

    def _payment(self, random: Random, order_id: str) -> OrderMessage:
        self._payments[order_id] += 1
        new, at = f"P-{self._payments[order_id]}", self.world.now
        old = f"P-{random.randint(1, self._payments[order_id])}"
        line_id = random.choice((None, "1", "2"))
        match random.randint(0, 9):
            case 0:
                return authorized(order_id, WORTH, new, at)
            case 1:
                return voided(order_id, WORTH, old, at)
            case 2 | 3:
                return refunded(
                    order_id, f"RF-{new}", random.choice((WORTH, 100_000)), old, line_id=line_id, at=at
                )
            case _:
                return captured(order_id, random.choice((WORTH, 2 * WORTH)), new, line_id=None, at=at)

    def _read(self, topic: str) -> "Reading":
        return Reading(self.world, topic)

    # Workflows and people -------------------------------------------------------------------------

    async def look(self, random: Random) -> None:
        await self.world.advance(random.choice(self.certificates))

    async def ask(self, random: Random) -> None:
        """Ask for something, often under a key that is used again."""
        certificate_id = random.choice(self.certificates)
        request = await self._request(random, certificate_id)
        key = None
        if isinstance(request, m.AuthorizeRedemption):
            caller_key = f"{certificate_id}-{random.randint(0, 3)}".encode()
            key = IdempotencyKey(caller_key, b"", kept=True)
            self.asked[caller_key].append(request.redemption_id)
        outcome = await self.world.act(certificate_id, request, key, answer=_redemption)
        if key is not None:
            self.answered[key.caller_key].append(outcome)

    async def _request(self, random: Random, certificate_id: str) -> m.Request:
        state = await self.world.state(certificate_id)
        cases = [case for sale in state.sales for case in sale.cases if case.is_open]
        if cases and random.random() < 0.7:
            decision = random.choice(("approve", "reject"))
            case_id = random.choice(cases).refund_case_id
            return m.ResolveRefund(
                refund_case_id=case_id, decision=decision, amount=None, resolved_by="support-1", note="seen"
            )
        holds = [one.redemption_id for one in state.redemptions if one.held]
        if holds and random.random() < 0.3:
            return m.VoidRedemption(channel="pos", redemption_id=random.choice(holds))
        match random.randint(0, 5):
            case 0:
                return m.Block(reason="looked into", by="support-1")
            case 1 | 2:
                return m.Unblock(reason="found", by="support-1")
            case 3:
                return m.DiscloseCvc(disclosed_to="crm-1", purpose="notification", notification_id=None)
            case _:
                return m.AuthorizeRedemption(
                    channel="pos",
                    redemption_id=str(uuid4()),
                    order_id="POS-1",
                    amount=random.choice((100, 200_000)),
                    currency="RUB",
                )

    # The rest of the service ----------------------------------------------------------------------

    async def erase(self, random: Random) -> None:
        """CRM erases a client, and what is stored of recipients goes; now and then a client comes back."""
        record = ClientRecord(
            event_id=uuid4().hex,
            event_type=ERASED if random.random() < 0.8 else "client.updated",
            occurred_at=self.world.now,
            client_id=random.choice(self.clients),
        )
        async with self.world.database.transaction() as connection:
            await ClientRepository(connection).save([record])
        await self.erase_recipients()

    async def erase_recipients(self) -> bool:
        async with self.world.database.transaction() as connection:
            await ErasureRepository(connection).set_fences(10)
        async with self.world.database.transaction() as connection:
            oldest = await ingest_fences.oldest_open(connection)
            return await ErasureRepository(connection).erase_recipients(10, oldest)

    async def sweep(self, random: Random) -> None:
        """Look for what waits too long or is due, and remember what was signalled; now and then Temporal is away."""
        rows = await self.world.rows("SELECT DISTINCT certificate_id::text AS id FROM pending LIMIT 5")
        async with self.world.database.transaction() as connection:
            await PendingRepository(connection).mark_signalled({row["id"]: self.world.now for row in rows})
        async with self.world.database.transaction() as connection:
            sweep = SweepRepository(connection)
            found = await sweep.claim_pending(self.world.now, 10, "im")
            found += await sweep.claim_due(self.world.now, 10, "im")
            if random.random() < 0.3:
                await sweep.give_back([one.wake.certificate_id for one in found])
            await sweep.raise_bounds(self.world.now)

    async def publish(self, random: Random) -> None:
        """Empty a window of the outbox, without a stream."""
        async with self.world.database.transaction() as connection:
            outbox = OutboxRepository(connection)
            window = await outbox.lock_window(random.randint(1, 50))
            if window is not None:
                await outbox.delete(window)

    async def use_the_pool(self, random: Random) -> None:
        """Claim a certificate, or let reservations lapse."""
        if random.random() < 0.5:
            async with self.world.database.transaction() as connection:
                await ReservationRepository(connection).release_lapsed(10, self.world.now)
            return
        async with Database(self.world.url) as database:
            request = ClaimRequest(GIFT, 1, "im", "shop", GIFT.nominal, self.world.now)
            await ClaimRepository(database).claim([request])

    # Afterwards -----------------------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        """Let everybody whom something waits for look, until nothing does."""
        while await self.erase_recipients():
            pass
        for _ in range(ROUNDS):
            waiting = {certificate_id for certificate_id, _, _ in await self.world.pending()}
            if not waiting:
                return
            for certificate_id in sorted(waiting):
                await self.world.advance(certificate_id)
        raise AssertionError(f"work that never ends: {await self.world.pending()}")

    async def check(self) -> None:
        """Hold what is stored to what must always be true."""
        broken = await self.world.rows(_BROKEN)
        assert broken == [], broken
        for key, outcomes in self.answered.items():
            await self._check_answers(key, outcomes)
        await self._check_standings()
        for certificate_id in self.certificates:
            await self._check_nothing_is_left_to_say(certificate_id)

    async def _check_answers(self, key: bytes, outcomes: Iterable[Outcome]) -> None:
        """Under one key at most one hold was made, and every success said so."""
        answers = {
            msgspec.json.decode(one.answer)["redemptionId"] for one in outcomes if one.answer is not None
        }
        assert len(answers) <= 1, key
        made = await self.world.rows(
            "SELECT 1 FROM redemptions WHERE redemption_id = ANY(:ids)", ids=self.asked[key]
        )
        assert len(made) == len(answers), (made, answers)
        refusals = {outcome.refusal for outcome in outcomes if outcome.refusal is not None}
        assert all(isinstance(refusal, RejectionReason) for refusal in refusals)

    async def _check_standings(self) -> None:
        """Every stored standing is what the order as a whole says of the line."""
        async with self.world.database.transaction() as connection:
            orders = await OrderRepository(connection).lock(self.orders)
            rows = await OrderLineRepository(connection).lock(self.orders)
        for order_id, stored in orders.items():
            counted = {key: row.counted for (of, key), row in rows.items() if of == order_id}
            for key, standing in line_standings(stored.order, counted).items():
                known = rows[order_id, key].standing
                assert replace(known, revision=0) == replace(standing, revision=0)

    async def _check_nothing_is_left_to_say(self, certificate_id: str) -> None:
        """A certificate that looks again at each line that concerns it decides nothing new: no news was lost."""
        lines = await self.world.rows(
            """SELECT order_id, line_key FROM order_lines
                WHERE CAST(:id AS uuid) = ANY(named_certificates) OR holder = CAST(:id AS uuid) ORDER BY 1, 2""",
            id=certificate_id,
        )
        keys = [(row["order_id"], row["line_key"]) for row in lines]
        request = LockRequest(
            certificate_id=certificate_id, answers_since=START, patience=timedelta(seconds=1)
        )
        connection = await asyncpg.connect(self.world.url)
        try:
            loaded = await load_locked(connection, request, keys)
        finally:
            await connection.close()
        state = loaded.stored.state
        for row in loaded.lines:
            state = _with_line(state, line_as_seen(row))
            terms = Terms(loaded.stored.product, self.world.policy, None, loaded.clients)
            decided = decide(state, m.LineChanged(), self.world.now, terms, lambda: "new")
            assert decided.public == (), f"{certificate_id}: {decided.public} of {state}"


@dataclass
class Reading:
    """A batch of one partition: its mark is our clock before the batch, written once that is committed."""

    world: World
    topic: str

    async def __aenter__(self) -> None:
        self._instant = self.world.now

    async def __aexit__(self, *_: object) -> None:
        await self.world.catch_up(self._instant, self.topic)


def _redemption(outcome: Outcome) -> object:
    holds = [one.event for one in outcome.recorded if hasattr(one.event, "redemption_id")]
    return {"redemptionId": holds[0].redemption_id if holds else None}


def _with_line(state: CertificateState, line: Line) -> CertificateState:
    others = tuple(one for one in state.lines if one.ref != line.ref)
    return replace(state, lines=(*others, line))


_BROKEN = """
    SELECT 'holder' AS rule, l.order_id AS subject
    FROM order_lines AS l LEFT JOIN certificates AS c ON c.certificate_id = l.holder
    WHERE l.holder IS NOT NULL AND (c.status IS DISTINCT FROM l.holder_status)
    UNION ALL
    SELECT 'held line', c.certificate_id::text
    FROM certificates AS c LEFT JOIN order_lines AS l USING (order_id, line_key)
    WHERE c.status IN ('ordered', 'issued', 'partiallyRedeemed', 'redeemed')
        AND l.holder IS DISTINCT FROM c.certificate_id
    UNION ALL
    SELECT 'sequence', c.certificate_id::text FROM certificates AS c
    WHERE c.sequence <> (SELECT count(*) FROM events AS e WHERE e.certificate_id = c.certificate_id)
    UNION ALL
    SELECT 'held', c.certificate_id::text FROM certificates AS c WHERE c.held <> (
        SELECT coalesce(sum(held), 0) FROM redemptions AS r WHERE r.certificate_id = c.certificate_id)
    UNION ALL
    SELECT 'spending', identity FROM spendings WHERE applied_at IS NULL
    UNION ALL
    SELECT 'parked', certificate_id::text || parked::text FROM certificates WHERE parked IS NOT NULL
    UNION ALL
    SELECT 'waiter', l.order_id FROM order_lines AS l, unnest(l.waiters) AS waiter JOIN certificates AS c
        ON c.certificate_id = waiter WHERE NOT c.waits
    UNION ALL
    SELECT 'recipient', order_id FROM order_lines JOIN orders USING (order_id) JOIN clients AS c
        ON c.client_id = orders.customer_id WHERE c.erased AND recipient IS NOT NULL
    UNION ALL
    SELECT 'reservation', c.certificate_id::text
    FROM certificates AS c JOIN reservations AS r USING (reservation_id)
    WHERE (c.status = 'reserved') <> (r.resolved_at IS NULL)
"""
