from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError, require_known_channel
from giftcert.contracts.orders import (
    OrderProbe,
    StatedOrder,
    WithdrawnOrder,
    decode_order,
    order_message,
    probe_order,
    recipients,
)
from giftcert.domain.cause import Cause
from giftcert.domain.clients import Recipient
from giftcert.domain.order.messages import LinesReturned, OrderCancelled, OrderLine, OrderStated
from tests.unit.contracts.topic_records import (
    CERTIFICATE,
    certificate_line,
    discount_line,
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


@pytest.mark.parametrize("kind", ["goods", "gift_certificate", "giftcertificate", ""])
@pytest.mark.parametrize("id_", ["certificateId", "reservationId"])
def test_a_misspelt_kind_hides_no_certificate(kind: str, id_: str) -> None:
    line = goods_line(kind=kind) | {id_: CERTIFICATE}

    assert probe(order(lines=[line])).names_certificate
    assert malformed(order(lines=[goods_line(lineId="2"), line])).reason == (
        "misspeltKind" if kind else "invalidField"
    )


def test_ids_that_are_null_make_no_certificate_line_of_goods() -> None:
    line = goods_line(certificateId=None, reservationId=None)

    assert not probe(order(lines=[line])).names_certificate
    assert stated(lines=[line]).named_certificates == ()


def test_an_order_says_its_lines_as_they_stand_and_its_recipients_apart() -> None:
    record = stated(lines=[goods_line(), certificate_line(nominal=500_000), discount_line()])

    message = order_message(record, "All_SalesOrder")
    assert isinstance(message, OrderStated)
    assert replace(message, recipients_digest=None) == OrderStated(
        cause=Cause("All_SalesOrder", "so-1", record.occurred_at, "im"),
        event_type="order.created",
        order_id="IM-1001",
        version=1,
        channel="im",
        customer_id="C-77",
        currency="RUB",
        total=750_000,
        lines=(
            OrderLine(line_id="1", kind="goods", amount=250_000),
            OrderLine(
                line_id="2",
                kind="giftCertificate",
                amount=500_000,
                certificate_id=CERTIFICATE,
                reservation_id="01936f5e-0000-7000-8000-00000000000a",
                nominal=500_000,
            ),
            OrderLine(line_id="3", kind="discount", amount=-1_000),
        ),
    )
    assert recipients(record) == {"2": Recipient("R-5", "email", "ru-RU")}
    assert record.named_certificates == (CERTIFICATE,)


def test_a_repeat_with_other_recipients_is_another_message() -> None:
    def digest(**recipient: Any) -> str | None:
        lines = [certificate_line(recipient=recipient), goods_line()]
        message = order_message(stated(lines=lines), "All_SalesOrder")
        assert isinstance(message, OrderStated)
        return message.recipients_digest

    assert digest(ref="R-5") == digest(ref="R-5", locale=None)
    assert len({digest(ref="R-5"), digest(ref="R-6"), digest(ref="R-5", channel="sms")}) == 3
    assert "R-5" not in str(digest(ref="R-5"))


def test_a_certificate_for_nobody_in_particular_has_no_recipient() -> None:
    message = order_message(stated(lines=[certificate_line(recipient=None)]), "All_SalesOrder")
    assert isinstance(message, OrderStated)
    assert message.recipients_digest is None
    assert recipients(stated(lines=[certificate_line(recipient=None)])) == {}


def test_a_cancellation_without_lines_means_all() -> None:
    message = order_message(withdrawn(), "All_SalesOrder")

    assert isinstance(message, OrderCancelled)
    assert (message.version, message.line_ids) == (2, None)
    assert withdrawn().named_certificates == ()


@pytest.mark.parametrize("lines", [["2"], [{"lineId": "2"}], [certificate_line()]])
def test_a_return_names_its_lines(lines: list[Any]) -> None:
    record = withdrawn(eventType="order.returned", lines=lines)
    message = order_message(record, "All_SalesOrder")

    assert isinstance(message, LinesReturned)
    assert message.line_ids == ("2",)
    assert message.certificates == ((("2", CERTIFICATE),) if lines == [certificate_line()] else ())
    assert record.named_certificates == ((CERTIFICATE,) if lines == [certificate_line()] else ())


def test_versions_and_ids_have_room() -> None:
    longest = "x" * 200
    record = stated(orderVersion=2**63 - 1, orderId=longest, lines=[certificate_line(lineId=longest)])

    assert (record.order_version, record.order_id, record.lines[0].line_id) == (2**63 - 1, longest, longest)


def test_fields_that_the_contract_does_not_name_are_ignored() -> None:
    line = certificate_line(giftWrap={"colour": "red"}, quantity=1)

    assert order_message(stated(lines=[goods_line(), line], source="web"), "t") == order_message(
        stated(), "t"
    )


def test_an_instant_with_another_offset_is_the_same_instant() -> None:
    assert stated(occurredAt="2026-11-23T13:00:00+03:00") == stated()


@pytest.mark.parametrize("record", [order(eventType="order.split"), {"eventType": "order.split", "lines": 5}])
def test_a_type_that_the_contract_does_not_name_is_told_apart_from_a_malformed_record(record: Any) -> None:
    for decode in (decode_order, probe_order):
        with pytest.raises(UnknownEventTypeError, match=r"^order\.split$"):
            decode(raw(record))


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
        (order(orderVersion=2**63), "invalidField", "orderVersion: "),
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
        (order(lines=[goods_line(amount=-(2**53))]), "invalidField", "lines[0].amount"),
        (
            order(lines=[without(certificate_line(), "certificateId") | {"kind": "giftcard"}]),
            "misspeltKind",
            "lines[0].kind",
        ),
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


@pytest.mark.parametrize("field", sorted(order()))
@pytest.mark.parametrize("value", ["4111-1111-secret", ["4111-1111-secret"], {"4111-1111-secret": 1}])
def test_a_refusal_never_repeats_the_value(field: str, value: Any) -> None:
    said = ""
    try:
        decode_order(raw(order(**{field: value})))
    except UnknownEventTypeError:
        said = field
    except MalformedRecord as error:
        said = error.detail

    assert "secret" not in said


@given(value=st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(raw))
def test_no_bytes_do_more_than_be_malformed(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_order(value)


def test_a_channel_that_is_not_configured_is_refused() -> None:
    require_known_channel("im", ("im", "pos"))

    with pytest.raises(MalformedRecord, match="expected one of im, pos"):
        require_known_channel("fax", ("im", "pos"))
