"""However the topics interleave and however records fall into batches, each certificate hears the same."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from giftcert.domain.messages import OrderMessage
from kafka_ingest.source import KeptRecord
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


NAMED = st.lists(st.lists(st.integers(1, 3), unique=True, max_size=3).map(tuple), min_size=1, max_size=4)
KINDS = st.lists(st.sampled_from(["authorized", "captured", "voided", "refunded"]), max_size=4)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[KeptRecord], list[KeptRecord]]:
    """Records of both topics, each in its own order, with repeats."""
    orders: list[Any] = []
    paid: list[Any] = []
    for order_id in ("IM-1", "IM-2"):
        orders += versions(order_id, draw(NAMED), cancelled=draw(st.booleans()))
        paid += payments(order_id, draw(KINDS))
    memory = Memory()
    again = [one | {"eventId": one["eventId"] + "-again"} for one in draw(st.lists(st.sampled_from(orders)))]
    return (
        [memory.record("orders", one) for one in orders + again],
        [memory.record("payments", one) for one in paid],
    )


def heard(records: list[KeptRecord], sizes: list[int]) -> dict[str, Any]:
    """What each certificate is told of each topic, in order."""
    memory = Memory().with_certificates(1, 2, 3)
    for batch in in_batches(records, sizes):
        memory.comes(*batch)
    assert not memory.rejections
    return {
        one: (
            [message for message in told if isinstance(message, OrderMessage)],
            [message for message in told if not isinstance(message, OrderMessage)],
        )
        for one, told in memory.told.items()
    }


@given(story=stories(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_interleaving_and_batches_do_not_matter(
    story: tuple[list[KeptRecord], list[KeptRecord]], data: st.DataObject
) -> None:
    orders, paid = story
    turns = data.draw(st.permutations([0] * len(orders) + [1] * len(paid)))
    queues = [list(orders), list(paid)]
    mixed = [queues[turn].pop(0) for turn in turns]
    sizes = data.draw(st.lists(st.integers(1, 4), max_size=len(mixed)))
    assert heard(mixed, sizes) == heard(orders + paid, [])
