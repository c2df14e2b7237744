"""The arrival rule over whole sales, through the real ingest correlation on PostgreSQL.

Each topic in its own order with any repeats, any interleaving of topics and sales, any batches, looks of certificates
at any instant. Where nothing is withdrawn, refunded or repriced, state and events are those of the plain order; else
the buyer's outcome holds. A failure names its seed; ``SALES_SEED=<seed>`` plays it again. A build server always takes
the same seeds, a developer new ones.
"""

import os
from collections.abc import Sequence
from random import Random, SystemRandom

import pytest

from giftcert.domain.certificate.state import SOLD, CertificateState, Sale
from kafka_ingest.records import InputRecord
from tests.integration.kafka_ingest.ingest_store import NOON, Store
from tests.integration.kafka_ingest.leading import Leading
from tests.integration.kafka_ingest.sales_by_chance import as_it_arrives, plain_sale, troubled_sale
from tests.integration.kafka_ingest.topic_sales import Outcome, TopicSale, prepare
from tests.unit.domain.certificate.orders_of_arrival import Record, in_words
from tests.unit.domain.certificate.sales_gone_wrong import Book

pytestmark = pytest.mark.integration
SALES = 40


def chosen_seed() -> int:
    if "SALES_SEED" in os.environ:
        return int(os.environ["SALES_SEED"])
    return 20_261_123 if "CI" in os.environ else SystemRandom().randrange(2**32)


class Arrival:
    """One run of several sales in one database."""

    def __init__(self, store: Store, run: str, sales: Sequence[Sequence[Record]]) -> None:
        store.clock = lambda: NOON
        self.store, self.said = store, sales
        self.sales = [TopicSale.of(nth, run, records) for nth, records in enumerate(sales)]
        self.leading = Leading(store.database, store.keyring)

    async def in_plain_order(self) -> list[Outcome]:
        """Clients first, then sale by sale orders and payments, all in one batch."""
        await prepare(self.store, self.sales)
        records = [sale.client(self.store) for sale in self.sales]
        for sale, said in zip(self.sales, self.said, strict=True):
            records += [sale.record(self.store, one) for one in said]
        await self.store.commit(*records)
        return await self._outcomes()

    async def in_any_order(self, chance: Random) -> list[Outcome]:
        """Sales mixed, each as it arrives, a client's word anywhere; batches of any size, looks in between."""
        await prepare(self.store, self.sales)
        records = self._mixed(chance)
        while records:
            size = chance.randint(1, 20)
            await self.store.commit(*records[:size])
            records = records[size:]
            if chance.random() < 0.4:
                await self.leading.lead()
            if chance.random() < 0.1:
                await self.store.late_match.round()
        return await self._outcomes()

    def _mixed(self, chance: Random) -> list[InputRecord]:
        queues: list[list[Record | None]] = [list(said) for said in self.said]
        for queue in queues:
            queue.insert(chance.randint(0, len(queue)), None)
        turns = [place for place, queue in enumerate(queues) for _ in queue]
        chance.shuffle(turns)
        return [self._next(self.sales[turn], queues[turn].pop(0)) for turn in turns]

    def _next(self, sale: TopicSale, record: Record | None) -> InputRecord:
        return sale.client(self.store) if record is None else sale.record(self.store, record)

    async def _outcomes(self) -> list[Outcome]:
        await self.leading.lead()
        await self.store.settled()
        await self.leading.lead()
        return [await Outcome.of(self.leading, sale) for sale in self.sales]


def report(seed: int, nth: int, records: Sequence[Record]) -> str:
    return "\n".join([f"SALES_SEED={seed}, sale {nth}:", *map(in_words, records)])


# Nothing withdrawn, refunded or repriced ----------------------------------------------------------


async def test_any_interleaving_batches_and_repeats_end_the_same(store: Store) -> None:
    seed = chosen_seed()
    chance = Random(seed)
    topics = [plain_sale(chance) for _ in range(SALES)]
    arriving = [as_it_arrives(chance, one) for one in topics]
    plain = Arrival(store, "plain", [[*orders, *payments] for orders, payments in topics])
    mixed = Arrival(store, "mixed", arriving)
    expected, seen = await plain.in_plain_order(), await mixed.in_any_order(chance)
    for nth in range(SALES):
        wanted = expected[nth].comparable(plain.sales[nth])
        assert seen[nth].comparable(mixed.sales[nth]) == wanted, report(seed, nth, arriving[nth])


# Anything may be withdrawn, refunded, replaced and repriced ---------------------------------------


def sales_on(outcome: Outcome, line_id: str) -> list[tuple[CertificateState, Sale]]:
    return [
        (state, sale) for state in outcome.states.values() for sale in state.sales if sale.line_id == line_id
    ]


def active_on(outcome: Outcome, line_id: str) -> list[Sale]:
    return [
        sale
        for state, sale in sales_on(outcome, line_id)
        if sale is state.sale and state.status in SOLD and sale.open_case is None
    ]


def spoken_of(outcome: Outcome, *line_ids: str) -> bool:
    """Whether an open case or an alert tells of money of these lines."""
    cases = any(
        case.is_open for line_id in line_ids for _, sale in sales_on(outcome, line_id) for case in sale.cases
    )
    alerts = any(
        event_type == "alert.paymentWithoutCertificate" and payload["lineId"] in line_ids
        for events in outcome.events.values()
        for event_type, payload in events
    )
    return cases or alerts


def check_buyer(book: Book, outcome: Outcome, words: str) -> None:
    for line_id in book.lines:
        if line_id in book.given_up or book.all_is_back:
            assert active_on(outcome, line_id) == [], words
        for sale in active_on(outcome, line_id):
            assert book.pays_for(line_id, sale.amount), words
    for line_id in book.certificate_lines:
        if line_id in book.given_up and book.surely_owed(line_id):
            assert spoken_of(outcome, line_id), words
    if set(book.certificate_lines) <= book.given_up and book.surely_owed_for_certificates():
        assert spoken_of(outcome, *book.certificate_lines), words


async def test_whatever_is_withdrawn_refunded_or_changed_the_buyer_s_outcome_holds(store: Store) -> None:
    seed = chosen_seed()
    chance = Random(seed)
    arriving = [as_it_arrives(chance, troubled_sale(chance)) for _ in range(SALES)]
    outcomes = await Arrival(store, "mixed", arriving).in_any_order(chance)
    for nth, outcome in enumerate(outcomes):
        check_buyer(Book(arriving[nth]), outcome, report(seed, nth, arriving[nth]))
