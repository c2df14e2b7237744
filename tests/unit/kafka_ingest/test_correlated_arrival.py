"""However the topics interleave and however records fall into batches, the lines of the orders stand the same."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_ingest.records import InputRecord
from tests.unit.contracts.topic_records import certificate_line, goods_line, order, payment, withdrawal
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate, in_batches


def lines(*numbers: int) -> list[dict[str, Any]]:
    named = [
        certificate_line(lineId=str(nth + 2), certificateId=certificate(number))
        for nth, number in enumerate(numbers)
    ]
    return [goods_line(), *named]


def versions(order_id: str, named: list[tuple[int, ...]], *, cancelled: bool) -> list[dict[str, Any]]:
    stated = [
        order(
            orderId=order_id,
            orderVersion=nth + 1,
            eventType="order.changed" if nth else "order.created",
            eventId=f"{order_id}-v{nth}",
            lines=lines(*numbers),
        )
        for nth, numbers in enumerate(named)
    ]
    last = withdrawal(orderId=order_id, orderVersion=len(named) + 1, eventId=f"{order_id}-x")
    return [*stated, last] if cancelled else stated


def payments(order_id: str, kinds: list[str]) -> list[dict[str, Any]]:
    return [
        payment(
            orderId=order_id,
            eventType=f"payment.{kind}",
            paymentId=f"P-{order_id}",
            captureId=f"K-{nth}" if kind == "captured" else None,
            refundId=f"R-{nth}" if kind == "refunded" else None,
            occurredAt=f"2026-11-23T10:{nth:02}:00Z",
            eventId=f"{order_id}-p{nth}",
        )
        for nth, kind in enumerate(kinds)
    ]


KINDS = ["authorized", "captured", "voided", "refunded"]


@st.composite
def stories(draw: st.DrawFn, *, plain: bool) -> tuple[list[InputRecord], list[InputRecord]]:
    """Records of both topics, each in its own order, with repeats; in a plain story nothing is taken back."""
    orders: list[Any] = []
    paid: list[Any] = []
    names = st.lists(st.integers(1, 3), unique=True, max_size=3).map(tuple)
    for order_id in ("IM-1", "IM-2"):
        named = draw(st.lists(names, min_size=1, max_size=1 if plain else 4))
        orders += versions(order_id, named, cancelled=not plain and draw(st.booleans()))
        paid += payments(order_id, draw(st.lists(st.sampled_from(KINDS[: 3 if plain else 4]), max_size=4)))
    memory = Memory()
    again = [one | {"eventId": one["eventId"] + "-again"} for one in draw(st.lists(st.sampled_from(orders)))]
    return (
        [memory.record("orders", one) for one in orders + again],
        [memory.record("payments", one) for one in paid],
    )


def ingested(records: list[InputRecord], sizes: list[int]) -> Memory:
    memory = Memory().with_certificates(1, 2, 3)
    for batch in in_batches(records, sizes):
        memory.comes(*batch)
    assert not memory.rejections
    return memory


def lines_of(memory: Memory) -> dict[Any, Any]:
    """How each line stands in the end, whenever it last changed."""
    return {
        key: replace(row, standing=replace(row.standing, revision=0)) for key, row in memory.lines.items()
    }


def heard(memory: Memory) -> dict[str, Any]:
    """What the orders have heard, and what of the payments waits."""
    orders = {
        order_id: (
            stored.order.contents,
            stored.order.version,
            {line.certificates for line in stored.order.lines},
            sorted(capture.event_id for capture in stored.order.captures),
            sorted(refund.refund_id for refund in stored.order.refunds),
        )
        for order_id, stored in memory.orders.items()
    }
    return {"orders": orders, "waiting": sorted(record.event_id for _, record in memory.unmatched)}


def arrives(story: tuple[list[InputRecord], list[InputRecord]], data: st.DataObject) -> Memory:
    """The records arrive in some interleaving of their topics, in batches of some sizes."""
    turns = data.draw(st.permutations([nth for nth, topic in enumerate(story) for _ in topic]))
    queues = [list(topic) for topic in story]
    mixed = [queues[turn].pop(0) for turn in turns]
    return ingested(mixed, data.draw(st.lists(st.integers(1, 4), max_size=len(mixed))))


@given(story=stories(plain=True), data=st.data())
@settings(max_examples=100, deadline=None)
def test_interleaving_and_batches_do_not_matter_where_nothing_is_taken_back(
    story: tuple[list[InputRecord], list[InputRecord]], data: st.DataObject
) -> None:
    plain, mixed = ingested([*story[0], *story[1]], []), arrives(story, data)
    assert lines_of(mixed) == lines_of(plain)
    assert heard(mixed) == heard(plain)


@given(story=stories(plain=False), data=st.data())
@settings(max_examples=100, deadline=None)
def test_every_order_has_heard_the_same_whatever_happens(
    story: tuple[list[InputRecord], list[InputRecord]], data: st.DataObject
) -> None:
    assert heard(arrives(story, data)) == heard(ingested([*story[0], *story[1]], []))
