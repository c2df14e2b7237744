"""A certificate pays: over HTTP, in the real PostgreSQL, while Temporal and Kafka are away."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from giftcert.domain.certificate.messages import Block, SpendingKind
from giftcert.domain.order.messages import LinesReturned
from giftcert.settings import Settings
from tests.integration.api.api_client import open_api
from tests.integration.api.sales import WORTH, Till, assert_problem, cause, key, redeem
from tests.integration.api.test_verification import UNKNOWN_NUMBER, with_another

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(spending: tuple[Till, Settings]) -> Settings:
    """Those of the till's application: another process beside it has them too."""
    return spending[1]


# The whole path -----------------------------------------------------------------------------------


async def test_a_purchase_is_held_looked_at_and_given_back(till: Till) -> None:
    certificate_id, shown = await till.issued()
    held = await till.redeem(shown, 200_000, key())
    assert held.status_code == 201
    assert held.headers["cache-control"] == "no-store"
    redemption_id, expires_at = held.json()["redemptionId"], held.json()["expiresAt"]
    standing = {
        "redemptionId": redemption_id,
        "certificateId": certificate_id,
        "status": "authorized",
        "orderId": "POS-1",
        "channel": "pos",
        "amount": {"amount": 200_000, "currency": "RUB"},
        "held": {"amount": 200_000, "currency": "RUB"},
        "spent": {"amount": 0, "currency": "RUB"},
        "restored": {"amount": 0, "currency": "RUB"},
        "balance": {"amount": 300_000, "currency": "RUB"},
        "expiresAt": expires_at,
    }
    assert held.json() == (await till.get(redemption_id)).json() == standing
    assert await till.purse(certificate_id) == (300_000, 200_000)
    assert (await till.void(redemption_id)).status_code == 204
    assert (await till.get(redemption_id)).json()["status"] == "voided"
    assert await till.purse(certificate_id) == (WORTH, 0)
    assert await till.published(certificate_id) == ["redemption.authorized", "redemption.voided"]


async def test_a_hold_runs_for_the_products_time_or_as_asked_up_to_its_limit(till: Till) -> None:
    _, shown = await till.issued()
    before = datetime.now(UTC)
    for wanted, granted in (
        ({}, timedelta(minutes=30)),
        ({"holdSeconds": 60}, timedelta(seconds=60)),
        ({"holdSeconds": 30_000_000}, timedelta(hours=24)),
    ):
        reply = await till.redeem(shown, 1_000, key(), **wanted)
        wait = datetime.fromisoformat(reply.json()["expiresAt"]) - before
        assert granted <= wait < granted + timedelta(seconds=30)


async def test_what_was_captured_stays_spent(till: Till) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    redemption_id = (await till.redeem(shown, 200_000, used)).json()["redemptionId"]
    await till.pay(certificate_id, redemption_id, 150_000)
    again = await till.redeem(shown, 200_000, used)
    assert (again.status_code, again.headers["idempotency-hit"]) == (201, "true")
    assert again.json() == (await till.get(redemption_id)).json()
    assert again.json()["spent"]["amount"] == 150_000
    assert again.json()["balance"]["amount"] == 350_000
    assert_problem(await till.void(redemption_id), 409, "redemption-captured")


async def test_a_purchase_without_a_hold_is_looked_at_like_any_other(till: Till) -> None:
    certificate_id, _ = await till.issued()
    redemption_id = str(uuid4())
    await till.pay(certificate_id, redemption_id, 150_000)
    body = (await till.get(redemption_id)).json()
    assert (body["status"], body["channel"], body["expiresAt"]) == ("captured", "pos", None)
    assert body["amount"] == body["spent"] == {"amount": 150_000, "currency": "RUB"}
    assert_problem(await till.get(redemption_id, channel="im"), 403, "channel-not-allowed")
    assert_problem(await till.void(redemption_id), 409, "redemption-captured")


async def test_an_id_that_a_payment_names_with_another_certificate_shows_the_purchase_that_was_asked_for(
    till: Till,
) -> None:
    certificate_id, shown = await till.issued()
    other, _ = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    await till.pay(other, redemption_id, 150_000)
    assert await till.purse(other) == (350_000, 0)
    body = (await till.get(redemption_id)).json()
    assert (body["certificateId"], body["status"]) == (certificate_id, "authorized")


async def test_what_was_given_back_of_a_purchase_shows(till: Till) -> None:
    certificate_id, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    await till.pay(certificate_id, redemption_id, 200_000)
    await till.pay(certificate_id, redemption_id, 50_000, SpendingKind.REFUNDED)
    assert (await till.get(redemption_id)).json()["restored"]["amount"] == 50_000
    assert await till.purse(certificate_id) == (350_000, 0)


async def test_a_hold_that_ends_in_the_payment_is_over_here_too(till: Till) -> None:
    certificate_id, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    await till.pay(certificate_id, redemption_id, 200_000, SpendingKind.VOIDED)
    assert (await till.get(redemption_id)).json()["status"] == "voided"
    assert (await till.void(redemption_id)).status_code == 204


# Repeats ------------------------------------------------------------------------------------------


async def test_a_repeat_under_the_same_key_gets_the_same_redemption(till: Till) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    first, again = [await till.redeem(shown, 200_000, used) for _ in range(2)]
    assert again.json() == first.json()
    assert again.status_code == 201
    assert "idempotency-hit" not in first.headers
    assert again.headers["idempotency-hit"] == "true"
    assert await till.published(certificate_id) == ["redemption.authorized"]


async def test_repeats_at_the_same_moment_hold_once(till: Till) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    replies = await asyncio.gather(*(till.redeem(shown, 200_000, used) for _ in range(5)))
    held = [reply for reply in replies if reply.status_code == 201]
    for reply in replies:
        if reply not in held:  # one repeat waits for the first; more come again
            assert_problem(reply, 503, "request-in-progress")
    assert len(held) >= 2
    assert len({reply.json()["redemptionId"] for reply in held}) == 1
    assert await till.purse(certificate_id) == (300_000, 200_000)


async def test_a_repeat_after_the_hold_lapsed_says_that_it_has_ended(till: Till) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    redemption_id = (await till.redeem(shown, 200_000, used, holdSeconds=1)).json()["redemptionId"]
    await till.time_passes(certificate_id)
    assert (await till.get(redemption_id)).json()["status"] == "lapsed"
    assert_problem(await till.redeem(shown, 200_000, used, holdSeconds=1), 410, "redemption-ended")
    assert await till.purse(certificate_id) == (WORTH, 0)
    assert (await till.void(redemption_id)).status_code == 204


async def test_a_repeat_after_a_void_says_that_it_has_ended(till: Till) -> None:
    _, shown = await till.issued()
    used = key()
    redemption_id = (await till.redeem(shown, 200_000, used)).json()["redemptionId"]
    replies = [await till.void(redemption_id) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [204, 204]
    assert_problem(await till.redeem(shown, 200_000, used), 410, "redemption-ended")


async def test_a_key_stands_for_one_purchase_of_one_caller(till: Till) -> None:
    _, shown = await till.issued()
    _, others = await till.issued()
    used = key()
    first = await till.redeem(shown, 100_000, used)
    for other in (
        await till.redeem(shown, 100_001, used),
        await till.redeem(shown, 100_000, used, orderId="POS-2"),
        await till.redeem(shown, 100_000, used, holdSeconds=60),
        await till.redeem(shown, 100_000, used, channel="im"),
        await till.redeem(others, 100_000, used),
    ):
        assert_problem(other, 422, "idempotency-mismatch")
    money = {"amount": 100_000, "currency": "RUB"}
    body = {"channel": "pos", "amount": money, "orderId": "POS-1"} | shown
    headers = till.api.headers(subject="another till", key=used)
    theirs = await till.api.client.post("/redemptions", json=body, headers=headers)
    assert theirs.status_code == 201
    assert theirs.json()["redemptionId"] != first.json()["redemptionId"]


async def test_a_refusal_is_not_remembered(till: Till) -> None:
    _, shown = await till.issued()
    used = key()
    refused = await till.redeem(shown, WORTH + 1, used)
    assert_problem(refused, 409, "insufficient-balance")
    assert refused.json()["balance"] == {"amount": WORTH, "currency": "RUB"}
    assert (await till.redeem(shown, WORTH, used)).status_code == 201


async def test_a_refused_purchase_goes_through_once_the_balance_is_there(till: Till) -> None:
    _, shown = await till.issued()
    used = key()
    other = (await till.redeem(shown, WORTH, key())).json()["redemptionId"]
    assert_problem(await till.redeem(shown, 200_000, used), 409, "insufficient-balance")
    await till.void(other)
    assert (await till.redeem(shown, 200_000, used)).status_code == 201


async def test_a_void_is_answered_once_more_under_its_key(till: Till) -> None:
    _, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    used = key()
    replies = [await till.void(redemption_id, used) for _ in range(2)]
    assert [reply.headers.get("idempotency-hit") for reply in replies] == [None, "true"]
    other = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    assert_problem(await till.void(other, used), 422, "idempotency-mismatch")


async def test_a_purchase_is_the_same_however_plainly_it_is_asked_for(till: Till) -> None:
    """FastAPI looks at what is not plain, and finds the same in it."""
    _, shown = await till.issued()
    used, path = key(), "/redemptions"
    body = {"channel": "pos", "amount": {"amount": 1, "currency": "RUB"}, "orderId": "POS-1"} | shown
    plain = till.api.headers(subject="till", key=used) | {"Giftcert-End-User": "buyer"}
    first = await till.api.client.post(path, json=body, headers=plain)
    checked = plain | {"Content-Type": "application/json; charset=utf-8"}
    again = await till.api.client.post(path, content=first.request.content, headers=checked)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["idempotency-hit"]) == (first.json(), "true")
    refused = await till.api.client.post(f"{path}?dry=1", json=body, headers=plain)
    assert_problem(refused, 422, "invalid-request")


async def test_a_purchase_without_a_key_is_refused(till: Till) -> None:
    _, shown = await till.issued()
    body = {"channel": "pos", "amount": {"amount": 1, "currency": "RUB"}, "orderId": "POS-1"} | shown
    reply = await till.api.client.post("/redemptions", json=body, headers=till.api.headers())
    assert_problem(reply, 422, "idempotency-key-required")


# Two at once --------------------------------------------------------------------------------------


async def test_two_tills_that_spend_one_balance_at_the_same_moment_get_one_yes(
    till: Till, settings: Settings
) -> None:
    certificate_id, shown = await till.issued()
    async with open_api(settings) as other:
        replies = await asyncio.gather(
            till.redeem(shown, 400_000, key()), redeem(other, shown, 400_000, key())
        )
    assert sorted(reply.status_code for reply in replies) == [201, 409]
    [refused] = [reply for reply in replies if reply.status_code == 409]
    assert_problem(refused, 409, "insufficient-balance")
    assert await till.purse(certificate_id) == (100_000, 400_000)
    assert sorted(await till.published(certificate_id)) == ["redemption.authorized", "redemption.rejected"]


# Refusals -----------------------------------------------------------------------------------------


async def test_wrong_credentials_are_rejected_whichever_is_wrong(till: Till) -> None:
    certificate_id, shown = await till.issued()
    wrong_cvc = await till.redeem(shown | {"cvc": with_another(shown["cvc"])}, 1_000, key())
    wrong_number = await till.redeem(shown | {"number": UNKNOWN_NUMBER}, 1_000, key())
    assert_problem(wrong_cvc, 403, "credentials-rejected")
    assert wrong_cvc.content == wrong_number.content
    assert wrong_cvc.headers == wrong_number.headers
    assert await till.published(certificate_id) == []


async def test_a_number_that_was_guessed_at_pays_for_nothing(till: Till, settings: Settings) -> None:
    _, shown = await till.issued()
    strict = settings.model_copy(update={"wrong_cvcs_per_certificate": "2/hour"})
    wrong = shown | {"cvc": with_another(shown["cvc"])}
    async with open_api(strict) as api:
        rejected = [await redeem(api, wrong, 1_000, key()) for _ in range(2)]
        locked = [await redeem(api, one, 1_000, key()) for one in (shown, wrong)]
    assert [reply.status_code for reply in rejected] == [403, 403]
    for reply in locked:
        assert_problem(reply, 429, "too-many-attempts")
        assert int(reply.headers["retry-after"]) > 0
    assert locked[0].content == locked[1].content


async def test_a_repeat_of_a_purchase_is_answered_while_its_number_is_locked(
    till: Till, settings: Settings
) -> None:
    _, shown = await till.issued()
    used = key()
    strict = settings.model_copy(update={"wrong_cvcs_per_certificate": "1/hour"})
    async with open_api(strict) as api:
        first = await redeem(api, shown, 1_000, used)
        wrong = shown | {"cvc": with_another(shown["cvc"])}
        assert_problem(await redeem(api, wrong, 1_000, key()), 403, "credentials-rejected")
        assert_problem(await redeem(api, shown, 1_000, key()), 429, "too-many-attempts")
        again = await redeem(api, shown, 1_000, used)
    assert (again.status_code, again.json()) == (201, first.json())


async def test_a_key_that_is_known_says_nothing_about_a_cvc(till: Till) -> None:
    _, shown = await till.issued()
    used = key()
    first = await till.redeem(shown, 1_000, used)
    again = await till.redeem(shown | {"cvc": with_another(shown["cvc"])}, 1_000, used)
    assert again.json() == first.json()


async def test_another_currency_is_refused(till: Till) -> None:
    certificate_id, shown = await till.issued()
    reply = await till.redeem(shown, 1_000, key(), amount={"amount": 1_000, "currency": "EUR"})
    assert_problem(reply, 422, "currency-mismatch")
    assert await till.published(certificate_id) == ["redemption.rejected"]


async def test_a_blocked_certificate_pays_for_nothing(till: Till) -> None:
    certificate_id, shown = await till.issued()
    block = Block(reason="stolen", by="anna")
    await till.orders.lifecycle.act(certificate_id, block, datetime.now(UTC))
    reply = await till.redeem(shown, 1_000, key())
    assert_problem(reply, 409, "not-active")
    assert reply.json()["certificateStatus"] == "blocked"


async def test_a_certificate_under_refund_pays_for_nothing(till: Till) -> None:
    certificate_id, shown = await till.issued()
    order_id = (await till.row(certificate_id))["order_id"]
    returned = LinesReturned(
        cause=cause(f"back-{order_id}"), order_id=order_id, version=2, channel="im", line_ids=("1",)
    )
    await till.orders.tell(returned)
    reply = await till.redeem(shown, 1_000, key())
    assert_problem(reply, 409, "refund-in-progress")
    assert reply.json()["refundState"] == "requested"


async def test_a_certificate_that_is_only_ordered_pays_for_nothing(till: Till) -> None:
    certificate_id = await till.ordered()
    reply = await till.redeem(await till.stock.credentials(certificate_id), 1_000, key())
    assert_problem(reply, 409, "not-active")
    assert reply.json()["certificateStatus"] == "ordered"
    assert await till.published(certificate_id) == []


@pytest.mark.parametrize("status", ["available", "reserved", "retired"])
async def test_a_certificate_that_is_not_sold_is_refused_without_a_trace_on_the_stream(
    till: Till, status: str
) -> None:
    certificate_id = await till.certificate_in(status)
    events = await till.stock.events(certificate_id)
    shown = await till.stock.credentials(certificate_id)
    reply = await till.redeem(shown, 1_000, key())
    assert_problem(reply, 409, "not-active")
    assert reply.json()["certificateStatus"] == status
    assert await till.stock.events(certificate_id) == events
    assert (
        await till.stock.rows("SELECT 1 FROM redemptions WHERE certificate_id = :id", id=certificate_id) == []
    )


async def test_a_redemption_is_its_channels_own(till: Till) -> None:
    _, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 1_000, key())).json()["redemptionId"]
    assert_problem(await till.get(redemption_id, channel="im"), 403, "channel-not-allowed")
    assert_problem(await till.get(str(uuid4())), 404, "unknown-redemption")
    assert_problem(await till.void(str(uuid4())), 404, "unknown-redemption")


@pytest.mark.parametrize(
    ("others", "field"),
    [
        ({"amount": {"amount": 0, "currency": "RUB"}}, "amount.amount"),
        ({"amount": {"amount": 10.5, "currency": "RUB"}}, "amount.amount"),
        ({"amount": {"amount": 10, "currency": "rub"}}, "amount.currency"),
        ({"holdSeconds": 0}, "holdSeconds"),
        ({"orderId": ""}, "orderId"),
        ({"orderId": "o" * 201}, "orderId"),
        ({"channel": "fax"}, "channel"),
    ],
)
async def test_what_does_not_fit_is_named(till: Till, others: dict[str, Any], field: str) -> None:
    reply = await till.redeem({"number": UNKNOWN_NUMBER, "cvc": "123456"}, 1_000, key(), **others)
    assert_problem(reply, 422, "invalid-request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]


# Secrets ------------------------------------------------------------------------------------------


async def test_neither_number_nor_cvc_reaches_tables_or_log(
    till: Till, capfd: pytest.CaptureFixture[str]
) -> None:
    _, shown = await till.issued()
    used = key()
    redemption_id = (await till.redeem(shown, 200_000, used)).json()["redemptionId"]
    await till.redeem(shown, 200_001, used)
    await till.void(redemption_id)
    kept = [
        await till.stock.rows("SELECT row_to_json(t)::text AS row FROM redemptions AS t"),
        await till.stock.rows("SELECT row_to_json(t)::text AS row FROM idempotency_keys AS t"),
        await till.stock.rows("SELECT row_to_json(t)::text AS row FROM events AS t"),
        await till.stock.rows("SELECT row_to_json(t)::text AS row FROM certificates AS t"),
    ]
    captured = capfd.readouterr()
    text = f"{kept}{captured.out}{captured.err}"
    assert redemption_id in text
    assert shown["number"] not in text
    assert f'"{shown["cvc"]}"' not in text
