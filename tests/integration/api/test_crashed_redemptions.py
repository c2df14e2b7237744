"""A certificate pays while parts are away or die: held once, given back once, and the key stays good."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api import redeeming
from api.asking import Workflows
from api.credentials import CredentialCheck
from giftcert.settings import Settings
from giftcert.storage.credentials import CredentialRepository
from giftcert.storage.redemptions import RedemptionRepository
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.api.calling import NOWHERE, open_api
from tests.integration.api.selling import WORTH, Till, assert_problem, key, redeem, until, with_own_namespace
from tests.integration.api.test_verifying import with_another
from worker import running
from workflows.names import workflow_id

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(spending: tuple[Till, Settings]) -> Settings:
    """Those of the till's application: another process beside it has them too."""
    return spending[1]


async def test_while_temporal_is_away_a_purchase_may_be_repeated_with_the_same_key(
    till: Till, settings: Settings
) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    away = settings.model_copy(
        update={"temporal_address": NOWHERE, "request_timeout": timedelta(milliseconds=300)}
    )
    async with open_api(away) as api:
        replies = [await redeem(api, shown, 200_000, used) for _ in range(2)]
    for reply in replies:
        assert_problem(reply, 503, "part-unavailable")
        assert reply.json()["part"] == "temporal"
        assert int(reply.headers["retry-after"]) > 0
    assert (await till.redeem(shown, 200_000, used)).status_code == 201
    assert await till.told(certificate_id) == ["redemption.authorized"]


async def test_what_no_worker_took_in_time_is_not_held_later(till: Till, settings: Settings) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    alone, client = await with_own_namespace(settings, settings.temporal_address or "")
    hasty = alone.model_copy(update={"request_timeout": timedelta(milliseconds=300)})
    async with open_api(hasty) as api:
        late = await redeem(api, shown, 200_000, used)
        assert_problem(late, 503, "part-unavailable")
        async with running(alone):  # now it is taken, too late
            await client.get_workflow_handle(workflow_id(certificate_id)).query("state")
            assert await till.purse(certificate_id) == (WORTH, 0)
    assert (await till.redeem(shown, 200_000, used)).status_code == 201
    assert await till.told(certificate_id) == ["redemption.authorized"]


@around_each(
    (CredentialRepository, "look_up"),
    (CredentialCheck, "certificate_of"),  # leaving it, its transaction is over
    (redeeming, "_certificate"),
    (RedemptionRepository, "begin"),
    (redeeming, "_begin"),  # leaving it, the key's redemption is committed
    (Workflows, "ask"),
)
async def test_a_crash_at_any_step_of_a_purchase_holds_once(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    used = key()
    crash(monkeypatch, step, moment)
    assert_problem(await till.redeem(shown, 200_000, used), 500, "internal-error")
    again = await till.redeem(shown, 200_000, used)
    assert again.status_code == 201
    assert again.json() == (await till.get(again.json()["redemptionId"])).json()
    assert await till.purse(certificate_id) == (300_000, 200_000)
    assert await till.told(certificate_id) == ["redemption.authorized"]


@around_each((RedemptionRepository, "refused"), (redeeming, "_forget"))
async def test_a_crash_around_the_forgetting_of_a_refusal_leaves_the_key_good(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    used, other = key(), (await till.redeem(shown, WORTH, key())).json()["redemptionId"]
    crash(monkeypatch, step, moment)
    assert_problem(await till.redeem(shown, 200_000, used), 500, "internal-error")
    await till.void(other)
    assert (await till.redeem(shown, 200_000, used)).status_code == 201
    assert await till.purse(certificate_id) == (300_000, 200_000)


@around_each((CredentialRepository, "failed"), (CredentialCheck, "certificate_of"))
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
    unanswered = (step, moment) == ((CredentialCheck, "certificate_of"), AFTER)
    assert after["count"] - before["count"] == (2 if unanswered else 1)


@around_each(
    (RedemptionRepository, "find"), (redeeming, "answer_before"), (Workflows, "ask"), (redeeming, "remember")
)
async def test_a_crash_at_any_step_of_a_void_gives_back_once(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, shown = await till.issued()
    redemption_id = (await till.redeem(shown, 200_000, key())).json()["redemptionId"]
    used = key()
    crash(monkeypatch, step, moment)
    assert_problem(await till.void(redemption_id, used), 500, "internal-error")
    assert (await till.void(redemption_id, used)).status_code == 204
    assert await till.purse(certificate_id) == (WORTH, 0)
    assert await till.told(certificate_id) == ["redemption.authorized", "redemption.voided"]


async def test_a_key_is_good_across_the_continuation_of_the_workflow(
    settings: Settings, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate_id, shown = await till.issued()
    own, client = await with_own_namespace(settings, settings.temporal_address or "")
    first_key, lost_key = key(), key()
    handle = client.get_workflow_handle(workflow_id(certificate_id))
    async with open_api(own) as api:
        elsewhere = replace(till, api=api, client=client)
        monkeypatch.setenv("GIFTCERT_BUILD_ID", "older")
        async with running(own):
            first = await elsewhere.redeem(shown, 100_000, first_key)
            run = (await handle.describe()).run_id
        monkeypatch.setenv("GIFTCERT_BUILD_ID", "newer")
        async with running(own):
            crash(monkeypatch, (Workflows, "ask"), AFTER)
            assert (await elsewhere.redeem(shown, 100_000, lost_key)).status_code == 500

            async def continued() -> bool:
                return (await handle.describe()).run_id != run

            await until(continued)
            again = [await elsewhere.redeem(shown, 100_000, used) for used in (first_key, lost_key)]
    assert again[0].json()["redemptionId"] == first.json()["redemptionId"]
    assert [reply.headers["idempotency-hit"] for reply in again] == ["true", "true"]
    assert await till.purse(certificate_id) == (300_000, 200_000)
    assert await till.told(certificate_id) == ["redemption.authorized"] * 2
