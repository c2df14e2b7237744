import json
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from giftcert.contracts import field_descriptions
from giftcert.contracts.clients import decode_client
from giftcert.contracts.field_descriptions import OPEN_WORDS
from giftcert.contracts.inputs import MalformedRecord
from giftcert.contracts.orders import decode_order
from giftcert.contracts.payload import camel_case
from giftcert.contracts.payments import decode_payment
from giftcert.contracts.stream import decode_event, encode_event
from specs.generator.__main__ import files, main
from specs.generator.event_schemas import EventKind, catalogue
from specs.generator.input_schemas import input_schemas
from tests.event_schemas import SCHEMAS, example, validate_event, validator_of
from tests.unit.contracts.test_stream_events import NOON
from tests.unit.contracts.topic_records import (
    CERTIFICATE,
    certificate_line,
    client,
    discount_line,
    goods_line,
    order,
    payment,
    raw,
    withdrawal,
    without,
)

KINDS = catalogue()
SPECS = SCHEMAS.parent
ADDED_TO_ERRORS = {"topic", "partition", "offset", "eventId", "component"}


def test_the_published_files_are_those_that_the_code_makes() -> None:
    published = {path.relative_to(SPECS) for path in SCHEMAS.glob("*.json")} | {
        Path("asyncapi.yaml"),
        Path("products.schema.json"),
    }

    assert published == set(files()), "run python -m specs.generator"
    for path, text in files().items():
        assert (SPECS / path).read_text(encoding="utf-8") == text, f"{path}: run python -m specs.generator"


def test_generating_removes_what_no_longer_exists(tmp_path: Path) -> None:
    main(tmp_path)
    left_over = tmp_path / "schemas" / "issue.dreamt.json"
    left_over.write_text("{}")

    main(tmp_path)

    assert not left_over.exists()
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")} == set(files())


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_every_schema_is_a_schema(path: Path) -> None:
    Draft7Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event_type)
def test_every_event_type_has_an_example_that_its_schema_allows(kind: EventKind) -> None:
    validate_event(example(kind.event_type))


def test_every_example_is_of_a_type_that_is_published_or_read() -> None:
    examples = {path.stem for path in (SCHEMAS / "examples").glob("*.json")}

    assert examples == {kind.event_type for kind in KINDS} | set(input_schemas())


@pytest.mark.parametrize("event_type", sorted(input_schemas()))
def test_every_message_that_is_read_has_an_example_that_its_decoder_takes(event_type: str) -> None:
    record = example(event_type)

    assert record["eventType"] == event_type
    assert validator_of(event_type).is_valid(record)
    assert decoded(record)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event_type)
def test_an_example_is_to_the_last_byte_what_dispatch_would_write(kind: EventKind) -> None:
    text = (SCHEMAS / "examples" / f"{kind.event_type}.json").read_text(encoding="utf-8")
    _, value, _ = encode_event(decode_event(b"k", text.encode()))

    assert msgspec.json.format(value, indent=2).decode() + "\n" == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event_type)
def test_every_class_that_makes_an_event_has_the_fields_of_its_schema(kind: EventKind) -> None:
    schema = json.loads((SCHEMAS / f"{kind.event_type}.json").read_text(encoding="utf-8"))
    published = set(schema["properties"]["payload"]["properties"])

    for maker in kind.classes:
        told = {camel_case(field.name) for field in fields(maker)}
        told |= ADDED_TO_ERRORS if kind.is_error else set()
        told |= {"customerId"} if kind.has_customer else set()
        assert told == published, maker


def test_every_event_of_a_certificate_that_tells_money_says_whose_and_where() -> None:
    """By annotation, so that an event that is added one day carries them too."""
    about_money = {kind.event_type for kind in KINDS if "certificate" in kind.about and tells_amount(kind)}

    assert about_money == {kind.event_type for kind in KINDS if kind.has_customer}
    assert {"issue.completed", "redemption.captured", "refund.completed", "audit.expired"} <= about_money
    for event_type in about_money:
        event = example(event_type)
        assert {"customerId", "channel", "saleChannel", "product"} <= event["payload"].keys() | event.keys()


def tells_amount(kind: EventKind) -> bool:
    """Whether an object of amount and currency always stands in the payload."""
    schema = json.loads((SCHEMAS / f"{kind.event_type}.json").read_text(encoding="utf-8"))
    fields_of_payload = schema["properties"]["payload"]["properties"].values()
    always = [field for field in fields_of_payload if field.get("type") == "object"]
    return any("currency" in field["properties"] for field in always)


@pytest.mark.parametrize("change", ["drop", "retype", "add"])
def test_an_event_that_is_not_as_published_fails(change: str) -> None:
    event = example("issue.completed")
    payload = event["payload"]
    if change == "drop":
        del payload["orderId"]
    elif change == "retype":
        payload["validUntil"] = "next year"
    else:
        payload["cvc"] = "123456"

    with pytest.raises(AssertionError):
        validate_event(event)


def decoded(record: dict[str, Any]) -> bool:
    try:
        if record["eventType"].startswith("order."):
            decode_order(raw(record))
        elif record["eventType"].startswith("payment."):
            decode_payment(raw(record))
        else:
            decode_client(None, raw(record), NOON)
    except MalformedRecord:
        return False
    return True


@pytest.mark.parametrize(
    "record",
    [
        order(),
        order(eventType="order.changed", customerId=None, note="unknown"),
        order(lines=[goods_line(quantity=0.5), certificate_line(quantity=1, recipient=None)]),
        order(lines=[goods_line(certificateId=None), discount_line()], orderVersion=2**62),
        withdrawal(),
        withdrawal(lines=["2"]),
        withdrawal(eventType="order.returned", lines=[{"lineId": "2"}]),
        payment(),
        payment(eventType="payment.authorized", allocations=None),
        payment(eventType="payment.voided", allocations=[]),
        payment(eventType="payment.refunded", refundId="R-1"),
        payment(tender="giftCertificate", certificateId=CERTIFICATE),
        client(),
        client(locale=None, mergedInto="C-78"),
    ],
)
def test_what_a_consumer_contract_allows_is_read(record: dict[str, Any]) -> None:
    assert validator_of(record["eventType"]).is_valid(record)
    assert decoded(record)


@pytest.mark.parametrize(
    "record",
    [
        without(order(), "currency"),
        order(total=-1),
        order(currency="rub"),
        order(orderVersion=0),
        order(occurredAt="yesterday"),
        order(lines=[without(certificate_line(), "certificateId")]),
        order(lines=[certificate_line(quantity=2)]),
        order(lines=[certificate_line(amount=-1)]),
        order(lines=[certificate_line(kind="giftcertificate")]),
        order(lines=[goods_line(reservationId="R-1")]),
        order(orderVersion=2**63),
        order(lines=[certificate_line(recipient={"channel": "pigeon"})]),
        withdrawal(lines=[]),
        withdrawal(eventType="order.returned"),
        payment(eventType="payment.refunded"),
        payment(tender="giftCertificate"),
        payment(tender="giftCertificate", certificateId=CERTIFICATE, amount=0, allocations=[]),
        payment(amount="5"),
        payment(allocations=[{"lineId": "2"}]),
        client(blocked=None),
        without(client(), "clientId"),
    ],
)
def test_what_a_consumer_contract_forbids_is_malformed(record: dict[str, Any]) -> None:
    assert not validator_of(record["eventType"]).is_valid(record)
    assert not decoded(record)


def fields_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All fields of a schema, those within others too."""
    yield from schema.get("properties", {}).items()
    for part in (*schema.get("properties", {}).values(), *schema.get("definitions", {}).values()):
        for one in (part, part.get("items", {}), *part.get("anyOf", ())):
            yield from fields_of(one)


@cache
def of_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return schema


NAMES = sorted(path.stem for path in SCHEMAS.glob("*.json"))
UNITS = (
    "minor units",
    "RFC 3339, UTC",
    "umber of",
    "How many",
    "Position",
    "from 0",
    "Rises",
    "Id of",
    "umber of",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_says_what_it_means_and_numbers_and_instants_in_what_unit(name: str) -> None:
    for field, schema in fields_of(of_schema(name)):
        text = schema.get("description", "")
        assert text, f"{field}: describe it in giftcert/contracts/field_descriptions.py"
        kinds = [one.get("type") for one in (schema, *schema.get("anyOf", ()))]
        is_number = any("integer" in (kind if isinstance(kind, list) else [kind]) for kind in kinds)
        if is_number or schema.get("format") == "date-time" or "currency" in schema.get("properties", {}):
            assert any(unit in text for unit in UNITS), f"{field}: {text}"


@pytest.mark.parametrize("name", NAMES)
def test_integers_have_64_bits_and_no_word_has_a_default(name: str) -> None:
    for field, schema in fields_of(of_schema(name)):
        for one in (schema, *schema.get("anyOf", ())):
            if "integer" in str(one.get("type")):
                assert one["format"] == "int64", field
            assert "default" not in one, field


PEOPLES = {"audit.blocked", "audit.unblocked", "audit.retired"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.event_type not in PEOPLES], ids=str)
def test_every_reason_lists_its_words_explains_each_and_stays_open(kind: EventKind) -> None:
    """Except what a person says: that is free text."""
    reason = of_schema(kind.event_type)["properties"]["payload"]["properties"].get("reason")
    if reason is None:
        return
    assert reason[OPEN_WORDS]
    for word in reason[OPEN_WORDS]:
        assert f"- `{word}`: " in reason["description"]
    event = example(kind.event_type)
    event["payload"]["reason"] = "aWordOfALaterVersion"
    assert Draft7Validator(of_schema(kind.event_type)).is_valid(event)
    with pytest.raises(AssertionError):
        validate_event(event)


def test_no_description_is_left_over() -> None:
    used = {
        description
        for name in NAMES
        for _, field in fields_of(of_schema(name))
        for description in texts(field)
    }
    document = json.loads((SPECS / "openapi.json").read_text(encoding="utf-8"))
    for schema in document["components"]["schemas"].values():
        used |= {text for _, field in fields_of(schema) for text in texts(field)}
    parameters = [
        one
        for path in document["paths"].values()
        for call in path.values()
        for one in call.get("parameters", ())
    ]
    used |= {one["description"] for one in parameters}

    assert [key for key, text in field_descriptions.DESCRIPTIONS.items() if text not in used] == []


def texts(field: dict[str, Any]) -> set[str]:
    return {field.get("description", ""), field.get("description", "").partition("\n\n")[0]}


@cache
def envelope_validator() -> Draft7Validator:
    loaded = [of_schema(name) for name in NAMES]
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], DRAFT7.create_resource(schema)) for schema in loaded
    )
    return Draft7Validator(of_schema("envelope"), registry=registry)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.event_type)
def test_the_envelope_takes_every_event_and_tells_its_type(kind: EventKind) -> None:
    validator, event = envelope_validator(), example(kind.event_type)

    assert validator.is_valid(event)
    assert validator.is_valid(event | {"addedLater": 1})
    assert not validator.is_valid(event | {"eventType": "issue.dreamt"})
    assert not validator.is_valid({name: value for name, value in event.items() if name != "payload"})


def test_every_word_for_a_malformed_record_is_in_its_contract() -> None:
    with pytest.raises(ValueError, match="is not a valid MalformedReason"):
        MalformedRecord("anything", "else")


@cache
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((SPECS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return document


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []


def test_asyncapi_names_the_four_topics() -> None:
    addresses = {channel["address"] for channel in asyncapi()["channels"].values()}

    assert addresses == {"All_SalesOrder", "All_Payments", "All_Clients", "GiftCertificates.Stream"}


def test_asyncapi_refers_only_to_what_exists_and_to_every_schema() -> None:
    document = asyncapi()
    found = references(document)
    for reference in found:
        if reference.startswith("#/"):
            node: Any = document
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (SPECS / reference).exists(), reference

    referred = {Path(reference).name for reference in found if not reference.startswith("#")}
    assert referred == {path.name for path in SCHEMAS.glob("*.json")} - {"envelope.json"}


def test_asyncapi_has_every_message_in_a_channel() -> None:
    document = asyncapi()
    in_channels = {name for channel in document["channels"].values() for name in channel["messages"]}

    assert in_channels == set(document["components"]["messages"])


def test_asyncapi_shows_an_example_of_every_message_and_says_what_each_is_for() -> None:
    for name, message in asyncapi()["components"]["messages"].items():
        assert [one["payload"] for one in message["examples"]] == [example(name)]
        assert message["summary"]


def test_asyncapi_names_its_servers_and_how_readers_prove_who_they_are() -> None:
    servers = asyncapi()["servers"]

    assert set(servers) == {"embedded", "production"}
    assert "security" in servers["production"]


@pytest.mark.parametrize("name", sorted(name for name in NAMES if name.startswith(("alert.", "error."))))
def test_every_alert_and_error_asks_its_reader_to_do_something(name: str) -> None:
    _, _, what_to_do = of_schema(name)["description"].partition("\n\n")

    assert what_to_do
