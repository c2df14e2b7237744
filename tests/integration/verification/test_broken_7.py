"""Secrets in clear, wherever they may stand: named, without being said again."""

import pytest

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    ISSUED,
    REFUNDED,
    order_of,
)
from tests.integration.verification.spoiling import OtherRuns, secrets_of, tell

pytestmark = pytest.mark.integration


async def test_7_a_cvc_in_an_event_of_its_certificate_is_named(world: World) -> None:
    _, cvc = await secrets_of(world, world.ids[ISSUED])
    await tell(
        world, world.ids[ISSUED], payload={"who": "anna", "what": f"told the buyer {cvc} by telephone"}
    )
    assert await world.broken() == {7: {"cvcInClear"}}


async def test_7_a_cvc_in_a_field_that_no_event_has_is_named(world: World) -> None:
    _, cvc = await secrets_of(world, world.ids[ISSUED])
    await tell(world, world.ids[ISSUED], payload={"who": "anna", "what": "looked", "cvc": cvc})
    assert await world.broken() == {7: {"cvcInClear"}}


@pytest.mark.parametrize("separator", ["", " ", "-"])
async def test_7_a_full_number_in_any_event_is_named(world: World, separator: str) -> None:
    number, _ = await secrets_of(world, world.ids[REFUNDED])
    said = separator.join(number[start : start + 4] for start in range(0, 16, 4))
    await tell(world, world.ids[ISSUED], payload={"who": "anna", "what": f"exchanged for {said}."})
    findings = await world.verify()
    assert await world.broken() == {7: {"numberInClear"}}
    assert number not in "".join(map(str, findings.violations)).replace(separator or " ", "")


async def test_7_digits_that_are_no_secret_of_ours_are_none(world: World) -> None:
    _, of_another = await secrets_of(world, world.ids[REFUNDED])
    said = f"called 74951234567 about card 4111111111111111, ticket {of_another}"
    await tell(world, world.ids[ISSUED], payload={"who": "anna", "what": said})
    assert await world.broken() == {}


@pytest.mark.parametrize("secret", ["number", "cvc"])
async def test_7_a_secret_in_a_remembered_answer_is_named(world: World, secret: str) -> None:
    given = "SELECT answer #>> '{3,certificateId}' FROM idempotency_keys"
    number, cvc = await secrets_of(world, await world.value(given))
    await world.spoil(
        "UPDATE idempotency_keys SET answer = jsonb_set(answer, '{3,note}', to_jsonb(CAST(:secret AS text)))",
        secret=number if secret == "number" else cvc,
    )
    assert await world.broken() == {7: {f"{secret}InClear"}}


@pytest.mark.parametrize("separator", ["", " "])
async def test_7_a_number_in_what_is_said_of_a_quarantined_record_is_named(
    world: World, separator: str
) -> None:
    number, _ = await secrets_of(world, world.ids[ISSUED])
    said = separator.join(number[start : start + 4] for start in range(0, 16, 4))
    await world.spoil("UPDATE quarantine SET detail = :said", said=f"unexpected {said}")
    assert await world.broken() == {7: {"numberInClear"}}


async def test_7_a_quarantined_record_that_is_not_sealed_is_named(world: World) -> None:
    await world.spoil("UPDATE quarantine SET record_value = 'in clear' WHERE reason = 'unknownCertificate'")
    assert await world.broken() == {7: {"recordUnsealed"}}


async def test_7_a_number_in_a_stored_state_is_named(world: World) -> None:
    number, _ = await secrets_of(world, world.ids[ISSUED])
    await world.spoil(
        "UPDATE certificates SET state = state || jsonb_build_object('note', CAST(:number AS text))"
        " WHERE certificate_id = :id",
        number=number,
        of=ISSUED,
    )
    assert await world.broken() == {7: {"numberInClear"}}


async def test_7_a_number_in_what_is_stored_of_an_order_line_is_named(world: World) -> None:
    number, _ = await secrets_of(world, world.ids[ISSUED])
    await world.spoil(
        "UPDATE order_lines SET recipient = recipient || jsonb_build_object('ref', CAST(:number AS text))"
        " WHERE order_id = :order_id",
        number=number,
        order_id=order_of(ISSUED),
    )
    assert await world.broken() == {7: {"numberInClear"}}


async def test_7_a_number_in_a_search_attribute_is_named(world: World) -> None:
    number, _ = await secrets_of(world, world.ids[ISSUED])
    world.runs = OtherRuns(world.runs, texts=[f"card {number}"])
    assert await world.broken() == {7: {"numberInClear"}}
