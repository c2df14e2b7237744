"""A certificate pays while parts are away or die: held once, voided once, and the key stays good."""

import asyncpg
import pytest

from api import redemptions
from api.verification import CredentialCheck
from giftcert.lifecycle import change
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.guesses import GuessRepository
from giftcert.storage.redemptions import RedemptionRepository
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.api.sales import WORTH, Till, assert_problem, key
from tests.integration.api.test_verification import with_another

pytestmark = pytest.mark.integration
OF_A_HOLD = (
    (change, "write"),  # leaving it, it is committed
    (Lifecycle, "_act_unlocked"),
    (Lifecycle, "act"),
)
OF_THE_TRANSACTION = (
    (change, "lock"),
    (change, "load_locked"),
    (change, "write"),
    (Lifecycle, "_act"),  # leaving it, it is committed
    (Lifecycle, "act"),
)


@around_each(
    (GuessRepository, "find"),
    (CredentialCheck, "check"),
    *OF_A_HOLD,
    (redemptions, "_hold"),
)
async def test_a_crash_at_any_step_of_a_purchase_holds_once(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    happened = crash(monkeypatch, step, moment)
    assert_problem(await till.redeem(shown, 200_000, used), 500, "internal-error")
    assert happened.is_set()
    again = await till.redeem(shown, 200_000, used)
    assert again.status_code == 201
    assert again.json() == (await till.get(again.json()["redemptionId"])).json()
    assert await till.purse(certificate_id) == (300_000, 200_000)
    assert await till.published(certificate_id) == ["redemption.authorized"]


@around_each(*OF_A_HOLD)
async def test_whoever_got_503_repeats_with_the_key_and_holds_once(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    """PostgreSQL goes before, during and after the commit: it was done whole or not at all, and the key tells which."""
    certificate_id, shown = await till.issued()
    used = key()
    crash(monkeypatch, step, moment, error=asyncpg.ConnectionDoesNotExistError)
    away = await till.redeem(shown, 200_000, used)
    assert_problem(away, 503, "part-unavailable")
    assert int(away.headers["retry-after"]) > 0
    held = len(await till.published(certificate_id))
    assert held == (moment == AFTER)
    again = await till.redeem(shown, 200_000, used)
    assert (again.status_code, "idempotency-hit" in again.headers) == (201, held == 1)
    assert await till.purse(certificate_id) == (300_000, 200_000)
    assert await till.published(certificate_id) == ["redemption.authorized"]


@around_each(*OF_A_HOLD)
async def test_a_crash_around_a_refusal_leaves_the_key_good(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    used, other = key(), (await till.redeem(shown, WORTH, key())).json()["redemptionId"]
    crash(monkeypatch, step, moment)
    assert_problem(await till.redeem(shown, 200_000, used), 500, "internal-error")
    await till.void(other)
    assert (await till.redeem(shown, 200_000, used)).status_code == 201
    assert await till.purse(certificate_id) == (300_000, 200_000)


@around_each((GuessRepository, "lock"), (GuessRepository, "count_wrong"), (CredentialCheck, "_count_wrong"))
async def test_no_wrong_cvc_is_answered_that_is_not_counted(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    _, shown = await till.issued()
    wrong = shown | {"cvc": with_another(shown["cvc"])}
    guesses = "SELECT count(*) FROM wrong_credentials"
    [before] = await till.stock.rows(guesses)
    crash(monkeypatch, step, moment)
    assert_problem(await till.redeem(wrong, 200_000, key()), 500, "internal-error")
    assert_problem(await till.redeem(wrong, 200_000, key()), 403, "credentials-rejected")
    [after] = await till.stock.rows(guesses)
    unanswered = (step, moment) == ((CredentialCheck, "_count_wrong"), AFTER)
    assert after["count"] - before["count"] == (2 if unanswered else 1)


@around_each((RedemptionRepository, "find"), *OF_THE_TRANSACTION)
async def test_a_crash_at_any_step_of_a_void_voids_once(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    used = key()
    crash(monkeypatch, step, moment)
    assert_problem(await till.void(redemption_id, used), 500, "internal-error")
    assert (await till.void(redemption_id, used)).status_code == 204
    assert await till.purse(certificate_id) == (WORTH, 0)
    assert await till.published(certificate_id) == ["redemption.authorized", "redemption.voided"]
