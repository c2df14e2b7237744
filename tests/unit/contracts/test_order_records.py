from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.checks import require_known_channel
from giftcert.contracts.identity import content
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType
from giftcert.contracts.order_messages import Correlated, order_message
from giftcert.contracts.orders import (
    OrderProbe,
    StatedOrder,
    WithdrawnOrder,
    decode_order,
    identity,
    probe_order,
)
from giftcert.domain.messages import (
    Cause,
    Line,
    LineHolder,
    LinesReturned,
    OrderCancelled,
    OrderStated,
    OwnLine,
    Recipient,
)
from tests.unit.contracts.topic_records import (
    CERTIFICATE,
    certificate_line,
    goods_line,
    order,
    raw,
    withdrawal,
    without,
)


def stated(**changes: Any) -> StatedOrder:
    record = decode_order(raw(order(**changes)))
    assert isinstance(record, StatedOrder)
    return record


def withdrawn(**changes: Any) -> WithdrawnOrder:
    record = decode_order(raw(withdrawal(**changes)))
    assert isinstance(record, WithdrawnOrder)
    return record


def probe(record: Any) -> OrderProbe:
    found = probe_order(raw(record))
    assert isinstance(found, OrderProbe)
    return found


def malformed(record: Any) -> MalformedRecord:
    with pytest.raises(MalformedRecord) as caught:
        decode_order(record if isinstance(record, bytes) or record is None else raw(record))
    return caught.value


def test_a_goods_order_is_known_by_its_lines_alone() -> None:
    assert not probe(order(lines=[goods_line(), goods_line(lineId="2", quantity=0.35)])).names_certificate
    assert probe(order()).names_certificate
    assert probe(withdrawal()).order_id == "IM-1001"
    assert not probe(withdrawal(lines=["1"])).names_certificate


def test_an_order_is_told_to_its_certificate_with_its_own_line() -> None:
    correlated = Correlated(certificate_id=CERTIFICATE, replaces="other", line_holder=LineHolder.ORDERED)
    record = stated()

    assert order_message(record, "All_SalesOrder", correlated) == OrderStated(
        key="order.created:IM-1001:1",
        cause=Cause("All_SalesOrder", "so-1"),
        occurred_at=record.occurred_at,
        channel="im",
        order_id="IM-1001",
        order_version=1,
        customer_id="C-77",
        currency="RUB",
        total=750_000,
        lines=(Line("1", "goods", 250_000), Line("2", "giftCertificate", 500_000)),
        own=OwnLine(
            line_id="2",
            amount=500_000,
            reservation_id="01936f5e-0000-7000-8000-00000000000a",
            recipient=Recipient("R-5", "email", "ru-RU"),
            replaces="other",
        ),
        line_holder=LineHolder.ORDERED,
    )


def test_a_certificate_that_the_order_no_longer_names_has_no_own_line() -> None:
    message = order_message(stated(), "All_SalesOrder", Correlated(certificate_id="another"))

    assert isinstance(message, OrderStated)
    assert message.own is None


def test_a_cancellation_without_lines_means_all() -> None:
    message = order_message(withdrawn(), "All_SalesOrder", Correlated(certificate_id=CERTIFICATE))

    assert isinstance(message, OrderCancelled)
    assert message.line_ids is None


@pytest.mark.parametrize("lines", [["2"], [{"lineId": "2"}], [certificate_line()]])
def test_a_return_names_its_lines(lines: list[Any]) -> None:
    record = withdrawn(eventType="order.returned", lines=lines)
    message = order_message(record, "All_SalesOrder", Correlated(certificate_id=CERTIFICATE))

    assert isinstance(message, LinesReturned)
    assert message.line_ids == ("2",)
    assert content(record) == content(withdrawn(eventType="order.returned", lines=["2"]))


def test_fields_that_the_contract_does_not_name_are_ignored() -> None:
    line = certificate_line(giftWrap={"colour": "red"}, quantity=1)

    assert stated(lines=[goods_line(), line], source="web") == stated()


def test_an_instant_with_another_offset_is_the_same_instant() -> None:
    assert stated(occurredAt="2026-11-23T13:00:00+03:00") == stated()


@pytest.mark.parametrize("record", [order(eventType="order.split"), {"eventType": "order.split", "lines": 5}])
def test_a_type_that_the_contract_does_not_name_is_told_apart_from_a_malformed_record(record: Any) -> None:
    assert decode_order(raw(record)) == UnknownEventType("order.split")
    assert probe_order(raw(record)) == UnknownEventType("order.split")


@pytest.mark.parametrize(
    ("record", "reason", "field"),
    [
        (None, "emptyValue", "no value"),
        (b"", "invalidJson", "JSON"),
        (b"\xff\xfe", "invalidJson", "JSON"),
        (raw(order()).replace(b"R-5", b"R-\xff"), "invalidJson", "JSON"),
        (b'{"x":' * 100_000, "invalidJson", "JSON"),
        (b"[]", "invalidField", "value: expected object"),
        (without(order(), "orderId"), "missingField", "orderId: required"),
        (without(order(), "eventType"), "missingField", "eventType: required"),
        (without(order(), "eventId"), "missingField", "eventId: required"),
        (without(order(), "lines"), "missingField", "lines: required"),
        (order(orderId=""), "invalidField", "orderId: "),
        (order(orderId="x" * 201), "invalidField", "orderId: "),
        (order(orderId="IM\x00"), "invalidField", "NUL"),
        (order(orderVersion=0), "invalidField", "orderVersion: "),
        (order(orderVersion="1"), "invalidField", "orderVersion: "),
        (order(total=-1), "invalidField", "total: "),
        (order(total=0.5), "invalidField", "total: "),
        (order(total=2**63), "invalidField", "total: "),
        (order(currency="rub"), "invalidField", "currency: "),
        (order(currency="RUB\n"), "invalidField", "currency: "),
        (order(occurredAt="2026-11-23T10:00:00"), "invalidField", "occurredAt: "),
        (order(occurredAt="0001-01-01T00:00:00Z"), "invalidField", "occurredAt: "),
        (order(occurredAt="9999-12-31T23:59:59-12:00"), "invalidField", "occurredAt: "),
        (order(lines=[goods_line(), certificate_line(lineId="1")]), "duplicateLine", "lines.lineId"),
        (
            order(lines=[certificate_line(lineId="1"), certificate_line()]),
            "duplicateCertificate",
            "lines.certificateId",
        ),
        (
            order(lines=[without(certificate_line(), "certificateId")]),
            "certificateMissing",
            "lines[0].certificateId",
        ),
        (order(lines=[goods_line(), certificate_line(quantity=2)]), "invalidField", "lines[1].quantity"),
        (order(lines=[certificate_line(amount=-5)]), "invalidField", "lines[0].amount"),
        (
            order(lines=[certificate_line(recipient={"channel": "pigeon"})]),
            "invalidField",
            "lines[0].recipient.channel",
        ),
        (withdrawal(lines=[]), "missingField", "lines: "),
        (withdrawal(eventType="order.returned"), "missingField", "lines: "),
        (withdrawal(lines=["2", {"lineId": "2"}]), "duplicateLine", "lines.lineId"),
    ],
)
def test_an_order_that_breaks_the_contract_is_refused_with_the_field(
    record: Any, reason: str, field: str
) -> None:
    error = malformed(record)

    assert error.reason == reason
    assert field in error.detail


@pytest.mark.parametrize("address", ["anna@example.org", "+7 912 345-67-89", "89123456789"])
def test_an_address_in_place_of_a_reference_is_refused_and_not_repeated(address: str) -> None:
    error = malformed(order(lines=[certificate_line(recipient={"ref": address})]))

    assert error.detail == "lines[0].recipient.ref: expected a reference, not an address"
    assert address not in str(error)


@pytest.mark.parametrize("field", sorted(order()))
@pytest.mark.parametrize("value", ["4111-1111-secret", ["4111-1111-secret"], {"4111-1111-secret": 1}])
def test_a_refusal_never_repeats_the_value(field: str, value: Any) -> None:
    outcome: Any = None
    try:
        outcome = decode_order(raw(order(**{field: value})))
    except MalformedRecord as error:
        outcome = error.detail

    assert isinstance(outcome, StatedOrder | UnknownEventType) or "secret" not in outcome


@given(value=st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(raw))
def test_no_bytes_do_more_than_be_malformed(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_order(value)


def test_a_resent_order_is_the_same_whatever_its_event_id_and_time() -> None:
    first, again = stated(), stated(eventId="so-9", occurredAt="2026-11-24T00:00:00Z")

    assert identity(first) == identity(again)
    assert content(first) == content(again)


def test_another_version_or_type_is_another_message() -> None:
    records = [stated(), stated(orderVersion=2), stated(eventType="order.changed"), stated(orderId="IM-1")]

    assert len({identity(record) for record in records}) == 4


def test_the_same_version_that_says_something_else_contradicts() -> None:
    others = [
        stated(total=750_001),
        stated(lines=[certificate_line()]),
        stated(lines=[goods_line(), certificate_line(recipient=None)]),
        stated(lines=[goods_line(), certificate_line(nominal=500_000)]),
    ]

    assert all(identity(other) == identity(stated()) for other in others)
    assert content(stated()) not in {content(other) for other in others}


def test_separators_inside_ids_make_no_two_orders_the_same() -> None:
    assert identity(stated(orderId="A:1", orderVersion=1)) != identity(stated(orderId="A", orderVersion=1))
    assert identity(stated(orderId="A%3A")) != identity(stated(orderId="A:"))


def test_a_channel_that_is_not_configured_is_refused() -> None:
    require_known_channel("im", ("im", "pos"))

    with pytest.raises(MalformedRecord, match="expected one of im, pos"):
        require_known_channel("fax", ("im", "pos"))
