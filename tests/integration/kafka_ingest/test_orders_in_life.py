"""Orders as they come in life, from the topics' records to the certificates' events, on PostgreSQL."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from giftcert.domain.certificate.state import CertificateState, RefundState, Status
from kafka_ingest.records import InputRecord
from tests.integration.kafka_ingest.ingest_store import NOON, Store, add_certificates, reserve_all
from tests.integration.kafka_ingest.leading import Leading, recorded
from tests.unit.contracts.topic_records import certificate_line, goods_line, order, payment, withdrawal

pytestmark = pytest.mark.integration
CHANGED = {"eventType": "order.changed"}
SOLD = ["issue.ordered", "issue.completed", "notification.requested"]


@dataclass
class Shop:
    """One order, its certificates, and their workflows."""

    store: Store
    leading: Leading
    reservations: dict[str, str] = field(default_factory=dict)
    sent: list[InputRecord] = field(default_factory=list)

    async def add(self, count: int) -> None:
        """Put certificates into the pool and reserve them."""
        self.store.certificates = await add_certificates(self.store.database, count)
        self.reservations = {one: str(uuid4()) for one in self.store.certificates}
        await reserve_all(self.store.database, self.reservations)

    def passes(self, time: timedelta) -> None:
        """Time passes for everybody."""
        self.leading.clock = NOON + time
        self.store.clock = lambda: self.leading.clock

    def gift(self, nth: int, line_id: str | None = None, amount: int = 500_000) -> dict[str, Any]:
        """The line that orders a certificate; by default lines 2, 3, …"""
        certificate_id = self.store.certificates[nth]
        return certificate_line(
            lineId=line_id or str(nth + 2),
            certificateId=certificate_id,
            reservationId=self.reservations[certificate_id],
            amount=amount,
        )

    async def says(self, *lines: dict[str, Any], version: int = 1, **changes: Any) -> None:
        """The order as it now is."""
        kind = {} if version == 1 else CHANGED
        total = sum(line["amount"] for line in lines)
        said = {"orderVersion": version, "lines": lines, "total": total, "eventId": f"so-{version}"}
        await self._comes(self.store.order_record(order(**said | kind | changes)))

    async def withdraws(self, version: int, *line_ids: str, returned: bool = False) -> None:
        """Lines are cancelled or returned; a cancellation that names none means all."""
        lines = [{"lineId": one} for one in line_ids] or None
        kind = {"eventType": "order.returned"} if returned else {}
        said = withdrawal(orderVersion=version, lines=lines, eventId=f"so-{version}", **kind)
        await self._comes(self.store.order_record(said))

    async def pays(self, amount: int, payment_id: str = "P-9", **changes: Any) -> None:
        """A payment message, a capture by default; ``to`` allocates it."""
        to = changes.pop("to", None)
        allocations = [{"lineId": line, "amount": part} for line, part in to.items()] if to else None
        said = {"amount": amount, "paymentId": payment_id, "allocations": allocations}
        event_id = f"{payment_id}-{len(self.sent)}"
        await self._comes(self.store.payment_record(payment(**said, eventId=event_id, **changes)))

    async def _comes(self, *records: InputRecord) -> None:
        self.sent += records
        await self.store.commit(*records)
        await self.leading.lead()

    async def states(self) -> list[CertificateState]:
        return [await self.leading.state(one) for one in self.store.certificates]

    async def statuses(self) -> list[Status]:
        return [state.status for state in await self.states()]

    async def events(self, nth: int = 0) -> list[str]:
        return [
            event_type for event_type, _ in await recorded(self.store.database, self.store.certificates[nth])
        ]


@pytest.fixture
async def shop(store: Store) -> Shop:
    store.clock = lambda: NOON
    made = Shop(store, Leading(store.database, store.keyring))
    await made.add(4)
    return made


def counted(statuses: Sequence[Status]) -> dict[Status, int]:
    return dict(Counter(statuses))


# Many lines, many payments --------------------------------------------------------------------------


async def test_an_order_of_a_hundred_lines_is_issued_as_it_is_paid(shop: Shop) -> None:
    await shop.add(60)
    lines = [shop.gift(nth) for nth in range(60)]
    lines += [goods_line(lineId=f"g{nth}", amount=1_000) for nth in range(40)]
    await shop.says(*lines)
    await shop.pays(10_000_000, "P-1", to={line["lineId"]: 500_000 for line in lines[:20]})
    assert counted(await shop.statuses()) == {Status.ISSUED: 20, Status.ORDERED: 40}
    await shop.pays(20_040_000, "P-2")
    assert counted(await shop.statuses()) == {Status.ISSUED: 60}
    await shop.withdraws(2, "2", returned=True)
    await shop.pays(
        500_000, "P-2", eventType="payment.refunded", refundId="r-1", occurredAt="2026-11-23T12:00:00Z"
    )
    assert counted(await shop.statuses()) == {Status.ISSUED: 59, Status.REFUNDED: 1}
    assert await shop.events(1) == SOLD


async def test_captures_in_parts_with_and_without_allocations_add_up(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0), shop.gift(1))
    await shop.pays(300_000, "P-1", captureId="K-1", to={"2": 300_000})
    await shop.pays(400_000, "P-1", captureId="K-2", to={"2": 200_000})
    assert (await shop.statuses())[:2] == [Status.ISSUED, Status.ORDERED]
    await shop.pays(549_999, "P-2", captureId="K-3")
    assert (await shop.statuses())[1] == Status.ORDERED
    await shop.pays(1, "P-2", captureId="K-4")
    assert (await shop.statuses())[1] == Status.ISSUED


async def test_several_payments_and_tenders_pay_one_order(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    spent = {"tender": "giftCertificate", "certificateId": shop.store.certificates[3]}
    await shop.pays(250_000, "P-1", **spent)
    await shop.pays(100_000, "P-2", tender="bonus")
    await shop.pays(400_000, "P-3", tender="cash")
    assert await shop.events() == SOLD
    [issued] = [
        payload
        for event_type, payload in await recorded(shop.store.database, shop.store.certificates[0])
        if event_type == "issue.completed"
    ]
    assert issued["paymentIds"] == ["P-1", "P-2", "P-3"]


async def test_a_payment_voided_and_tried_again_issues_once(shop: Shop) -> None:
    await shop.says(shop.gift(0))
    await shop.pays(500_000, "P-1", eventType="payment.authorized")
    await shop.pays(500_000, "P-1", eventType="payment.voided")
    await shop.pays(500_000, "P-2", eventType="payment.authorized")
    await shop.pays(500_000, "P-2")
    assert await shop.events() == SOLD


async def test_one_is_issued_when_authorisation_and_capture_coincide(shop: Shop) -> None:
    same = {"occurredAt": "2026-11-23T10:05:00Z", "paymentId": "P-1", "amount": 500_000, "allocations": None}
    store = shop.store
    await store.commit(
        store.payment_record(payment(eventType="payment.authorized", eventId="a", **same)),
        store.payment_record(payment(eventId="c", **same)),
        store.order_record(order(lines=[shop.gift(0)], total=500_000)),
    )
    await shop.leading.lead()
    assert await shop.events() == SOLD


# Changes --------------------------------------------------------------------------------------------


async def test_versions_add_remove_replace_and_reprice_lines(shop: Shop) -> None:
    """The money of the order stays with its lines; whoever leaves is free again."""
    await shop.says(goods_line(), shop.gift(0), shop.gift(1))
    await shop.pays(1_000_000, "P-1")
    await shop.says(shop.gift(2, "2"), shop.gift(1, amount=450_000), shop.gift(3, "5"), version=2)
    assert await shop.statuses() == [Status.AVAILABLE, *[Status.ORDERED] * 3]
    assert (await shop.events(0))[-1] == "issue.released"
    await shop.pays(450_000, "P-2")
    assert await shop.statuses() == [Status.AVAILABLE, *[Status.ISSUED] * 3]
    state = (await shop.states())[1]
    assert state.sale is not None
    assert state.sale.amount == 450_000
    ordered = (await recorded(shop.store.database, shop.store.certificates[2]))[0]
    assert ordered[1]["replaces"] == shop.store.certificates[0]


async def test_a_stale_save_does_not_overwrite_paid(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    await shop.pays(750_000)
    await shop.says(goods_line(), shop.gift(0), version=3)
    before = (await shop.states(), await shop.events())
    await shop.says(goods_line(), version=2)
    assert (await shop.states(), await shop.events()) == before


async def test_a_cancellation_after_capture_waits_for_its_refund_and_ends(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0), shop.gift(1))
    await shop.pays(1_250_000)
    await shop.withdraws(2)
    assert [state.refund_state for state in await shop.states()][:2] == [RefundState.REQUESTED] * 2
    await shop.pays(1_250_000, eventType="payment.refunded", refundId="r-1")
    assert (await shop.statuses())[:2] == [Status.REFUNDED] * 2


async def test_a_cancellation_before_its_order_s_payment_never_issues(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    await shop.withdraws(2)
    await shop.pays(750_000)
    assert "issue.completed" not in await shop.events()
    assert (await shop.states())[0].any_refund_state == RefundState.REQUESTED


async def test_a_part_of_the_order_back_does_not_remove_every_card_of_it(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0), shop.gift(1))
    await shop.pays(1_250_000)
    await shop.withdraws(2, "3", returned=True)
    await shop.pays(500_000, eventType="payment.refunded", refundId="r-1", occurredAt="2026-11-23T12:00:00Z")
    assert (await shop.statuses())[:2] == [Status.ISSUED, Status.REFUNDED]
    assert (await shop.states())[0].refund_state == RefundState.NONE


async def test_a_refund_of_the_television_never_freezes_the_gift(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    await shop.pays(750_000)
    await shop.pays(250_000, eventType="payment.refunded", refundId="r-1")
    assert (await shop.states())[0].refund_state == RefundState.NONE


# Late, and again ------------------------------------------------------------------------------------


async def test_a_payment_that_came_weeks_before_its_order_is_not_lost(shop: Shop) -> None:
    await shop.pays(750_000)
    await shop.store.rows_changed("UPDATE unmatched_payments SET received_on = received_on - 30")
    shop.passes(timedelta(weeks=3))
    await shop.says(goods_line(), shop.gift(0))
    assert await shop.events() == SOLD


async def test_a_capture_weeks_after_its_order_still_issues(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    await shop.pays(750_000, eventType="payment.authorized")
    shop.passes(timedelta(weeks=3))
    await shop.pays(750_000)
    assert await shop.events() == SOLD


async def test_a_return_and_its_refund_months_after_the_sale_are_carried_out(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0))
    await shop.pays(750_000)
    shop.passes(timedelta(weeks=20))
    await shop.withdraws(2, "2", returned=True)
    await shop.pays(500_000, eventType="payment.refunded", refundId="r-1", to={"2": 500_000})
    assert await shop.events() == [*SOLD, "refund.requested", "refund.completed"]


async def test_a_day_sent_again_under_new_event_ids_doubles_nothing(shop: Shop) -> None:
    await shop.says(goods_line(), shop.gift(0), shop.gift(1))
    await shop.pays(1_250_000, eventType="payment.authorized")
    await shop.pays(1_250_000, captureId="K-1")
    await shop.withdraws(2, "3", returned=True)
    await shop.pays(500_000, eventType="payment.refunded", refundId="r-1", to={"3": 500_000})
    await shop.store.settled()
    before = (
        await shop.states(),
        [await shop.events(nth) for nth in range(4)],
        await shop.store.everything(),
    )
    await shop.store.commit(*(again(shop.store, record) for record in shop.sent))
    await shop.leading.lead()
    after = (await shop.states(), [await shop.events(nth) for nth in range(4)], await shop.store.everything())
    assert after == before


def again(store: Store, record: InputRecord) -> InputRecord:
    """The same message further on in its topic, as a till writes it that sends its day once more."""
    value = (record.value or b"").replace(b'"eventId": "', b'"eventId": "again-')
    return store.record(record.topic, value, (record.key or b"").decode())


async def test_a_code_that_was_sent_does_not_go_back_to_the_pool(shop: Shop) -> None:
    await shop.says(shop.gift(0))
    await shop.pays(500_000)
    await shop.says(goods_line(), version=2)
    await shop.withdraws(3)
    await shop.pays(500_000, eventType="payment.voided")
    await shop.pays(500_000, eventType="payment.refunded", refundId="r-1")
    assert (await shop.statuses())[0] == Status.REFUNDED
    assert "issue.released" not in await shop.events()


async def test_money_in_a_wrong_currency_issues_nothing(shop: Shop) -> None:
    await shop.says(shop.gift(0))
    await shop.pays(500_000, currency="KZT")
    assert await shop.events() == ["issue.ordered", "alert.paymentWithoutCertificate"]
    await shop.says(shop.gift(1, "2"), orderId="IM-2", currency="KZT")
    assert await shop.events(1) == ["error.orderConflict"]
