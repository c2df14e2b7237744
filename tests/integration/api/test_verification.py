"""Number and CVC are checked, and guessing at them leads nowhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.problems import ProblemError
from api.services import open_services
from api.verification import CredentialCheck, Credentials
from giftcert.security.data_keys import Purpose
from giftcert.security.keys import keyring_of
from giftcert.security.tokens import Caller
from giftcert.settings import Settings
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Connection, Database
from giftcert.storage.guesses import GuessRepository
from tests.integration.api.api_client import Api, Stock, open_api
from tests.integration.api.sales import Till, orders_of
from tests.waiting import until

pytestmark = pytest.mark.integration
UNKNOWN_NUMBER = "0000000000000000"
OTHER_NUMBERS = [f"40000000000000{nth:02}" for nth in range(10)]
NOTHING = dict.fromkeys(["certificateId", "product", "status", "balance", "held", "validUntil"])


def with_another(digits: str) -> str:
    """Other digits of the same length."""
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


async def issued(stock: Stock) -> tuple[str, dict[str, str]]:
    """Sell a certificate; return its id, and number and CVC."""
    async with open_api(stock.settings) as api:
        return await Till(api, stock, orders_of(stock)).issued()


async def guess_wrong(api: Api, shown: dict[str, str], times: int = 1) -> list[httpx.Response]:
    wrong = shown | {"cvc": with_another(shown["cvc"])}
    return [await api.verify(**wrong) for _ in range(times)]


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(update={"wrong_cvcs_per_certificate": "3/hour"})


async def test_a_holder_sees_what_may_be_spent(shop: Till) -> None:
    certificate_id = await shop.certificate_in("partiallyRedeemed")
    shown = await shop.stock.credentials(certificate_id)
    await shop.redeem(shown, 50_000, "k")
    reply = await shop.api.verify(**shown)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    valid_until = reply.json()["validUntil"]
    assert reply.json() == {
        "valid": True,
        "certificateId": certificate_id,
        "product": "GC-5000",
        "status": "partiallyRedeemed",
        "balance": {"amount": 350_000, "currency": "RUB"},
        "held": {"amount": 50_000, "currency": "RUB"},
        "validUntil": valid_until,
    }
    assert datetime.fromisoformat(valid_until) > datetime.now(UTC) + timedelta(days=364)
    assert shown["number"] not in reply.text


async def test_a_holder_sees_a_block(shop: Till) -> None:
    shown = await shop.stock.credentials(await shop.certificate_in("blocked"))
    reply = (await shop.api.verify(**shown)).json()
    assert (reply["valid"], reply["status"]) == (True, "blocked")


async def test_a_wrong_number_and_a_wrong_cvc_look_the_same(api: Api, stock: Stock) -> None:
    _, shown = await issued(stock)
    wrong_cvc = await api.verify(number=shown["number"], cvc=with_another(shown["cvc"]))
    wrong_number = await api.verify(number=UNKNOWN_NUMBER, cvc=shown["cvc"])
    assert wrong_cvc.status_code == wrong_number.status_code == 200
    assert wrong_cvc.content == wrong_number.content
    assert wrong_cvc.headers == wrong_number.headers
    assert wrong_cvc.json() == {"valid": False} | NOTHING


class CountingSeals(Seals):
    """Opens as the API does, and counts."""

    opened = 0

    async def open(self, sealed: bytes, purpose: Purpose, owner: bytes) -> bytes:
        self.opened += 1
        return await super().open(sealed, purpose, owner)


class LoggedDatabase(Database):
    """Logs what is sent."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.sent: list[str] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with super().connection() as connection:
            with connection.query_logger(lambda logged: self.sent.append(logged.query)):
                yield connection


async def work_of(settings: Settings, number: str, cvc: str) -> tuple[list[str], int, str]:
    """What a check sends to the database, how many seals it opens, and what comes of it."""
    keyring = keyring_of(settings)
    caller = Caller("till", frozenset({"channel"}), frozenset({"pos"}))
    shown = Credentials.model_validate({"channel": "pos", "number": number, "cvc": cvc})
    async with LoggedDatabase(settings.database_address) as database:
        seals = CountingSeals(database, keyring)
        check = CredentialCheck(database, keyring, seals, settings)
        await seals.unwrap_all()
        await asyncio.sleep(0)
        database.sent.clear()
        try:
            found = await check.check(check.guess(caller, shown, None, datetime.now(UTC)), shown.cvc)
            outcome = "right" if found else "wrong"
        except ProblemError as error:
            outcome = error.problem.slug
        await asyncio.sleep(0)  # asyncpg logs the last statement a turn of the loop later
    return database.sent, seals.opened, outcome


async def test_a_wrong_number_and_a_wrong_cvc_take_the_same_work_up_to_the_lock(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    for _ in range(5):  # the third locks, the fourth is locked
        wrong_cvc = await work_of(strict, shown["number"], with_another(shown["cvc"]))
        wrong_number = await work_of(strict, UNKNOWN_NUMBER, shown["cvc"])
        assert wrong_cvc == wrong_number
        assert any("wrong_credentials" in statement for statement in wrong_cvc[0])
    assert wrong_cvc[2] == "too-many-attempts"
    assert await work_of(strict, **shown) == wrong_cvc


async def test_too_many_wrong_cvcs_lock_a_number_and_then_right_and_wrong_look_the_same(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=2)
        assert (await api.verify(**shown)).json()["valid"]
        assert (await guess_wrong(api, shown))[0].json()["valid"] is False
        right = await api.verify(**shown)
        [wrong] = await guess_wrong(api, shown)
    assert right.status_code == wrong.status_code == 429
    assert right.json()["type"].endswith("too-many-attempts")
    assert right.content == wrong.content
    assert 890 < int(right.headers["retry-after"]) <= 900


async def test_a_number_that_does_not_exist_is_locked_like_any_other(strict: Settings, stock: Stock) -> None:
    await stock.fill(0)
    async with open_api(strict) as api:
        replies = [await api.verify(number=UNKNOWN_NUMBER, cvc="123456") for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]


async def test_each_lock_lasts_twice_as_long_as_the_one_before(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    lengths = []
    async with open_api(strict) as api:
        for _ in range(3):
            await guess_wrong(api, shown, times=3)
            [lock] = await stock.rows("SELECT locked_until - locked_at AS length FROM verification_locks")
            lengths.append(lock["length"])
            await stock.run("UPDATE verification_locks SET locked_until = clock_timestamp()")
    assert lengths == [timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1)]


async def test_several_processes_count_together_and_a_restart_forgets_nothing(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    for _ in range(3):
        async with open_api(strict) as api:
            await guess_wrong(api, shown)
    async with open_api(strict) as api:
        assert (await api.verify(**shown)).status_code == 429


async def test_guesses_at_the_same_moment_are_judged_one_after_another(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as one, open_api(strict) as other:
        guesses = [guess_wrong(api, shown) for api in (one, other) for _ in range(6)]
        await asyncio.gather(*guesses)
        assert (await one.verify(**shown)).status_code == 429
    [lock] = await stock.rows("SELECT attempts FROM verification_locks")
    assert lock["attempts"] == 3


async def test_wrong_cvcs_of_long_ago_count_no_more(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=2)
        await stock.run("UPDATE wrong_credentials SET failed_at = failed_at - interval '61 minutes'")
        await guess_wrong(api, shown, times=2)
        assert (await api.verify(**shown)).json()["valid"]


async def test_a_lock_ends_with_its_time_and_guesses_are_counted_anew(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=6)
        await stock.run("UPDATE verification_locks SET locked_until = clock_timestamp()")
        assert (await api.verify(**shown)).json()["valid"]
        await guess_wrong(api, shown, times=2)
        assert (await api.verify(**shown)).json()["valid"]
        await guess_wrong(api, shown)
        assert (await api.verify(**shown)).status_code == 429


async def test_a_lock_keeps_others_numbers_open(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    _, others = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        assert (await api.verify(**others)).json()["valid"]


async def published(stock: Stock, certificate_id: str) -> list[dict[str, Any]]:
    """The events of a certificate beyond its sale, as soon as no lock waits to be recorded."""

    async def recorded() -> bool:
        return not await stock.rows("SELECT 1 FROM verification_locks WHERE NOT recorded")

    await until(recorded)
    events = await stock.events(certificate_id)
    return [one for one in events if not one["event_type"].startswith(("issue.", "notification."))]


async def test_a_lock_is_told_once(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=5)
        [event] = await published(stock, certificate_id)
    [first] = await stock.rows("SELECT min(failed_at) AS at FROM wrong_credentials")
    assert (event["event_type"], event["channel"], event["sequence"]) == (
        "alert.verificationLocked",
        "pos",
        5,
    )
    assert event["payload"] == {
        "attempts": 3,
        "since": first["at"].isoformat().replace("+00:00", "Z"),
        "channel": "pos",
        "webUrl": strict.workflow_url(certificate_id),
    }


async def test_a_second_lock_is_told_too(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        for _ in range(2):
            await guess_wrong(api, shown, times=3)
            await published(stock, certificate_id)
            await stock.run("UPDATE verification_locks SET locked_until = clock_timestamp()")
        assert [event["sequence"] for event in await published(stock, certificate_id)] == [5, 6]


async def test_a_lock_that_a_crash_left_unrecorded_is_told_by_the_next_process(
    strict: Settings, stock: Stock
) -> None:
    certificate_id, shown = await issued(stock)
    for _ in range(3):
        await work_of(strict, shown["number"], with_another(shown["cvc"]))
    assert len(await stock.events(certificate_id)) == 4
    async with open_services(strict):
        assert len(await published(stock, certificate_id)) == 1


async def test_a_lock_that_several_processes_see_is_told_once(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api, open_services(strict), open_services(strict):
        await guess_wrong(api, shown, times=3)
        assert len(await published(stock, certificate_id)) == 1


async def test_a_lock_in_the_pool_is_told_and_of_a_number_that_does_not_exist_nothing(
    strict: Settings, stock: Stock
) -> None:
    await stock.fill(1)
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    shown = await stock.credentials(row["id"])
    async with open_api(strict) as api:
        await guess_wrong(api, {"number": UNKNOWN_NUMBER, "cvc": "123456"}, times=3)
        await guess_wrong(api, shown, times=3)
        [event] = await published(stock, row["id"])
    assert (event["event_type"], event["sequence"]) == ("alert.verificationLocked", 1)
    locks = "SELECT 1 FROM events WHERE event_type = 'alert.verificationLocked'"
    assert len(await stock.rows(locks)) == 1


async def test_a_caller_who_is_wrong_too_often_has_to_wait(settings: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    async with open_api(settings.model_copy(update={"wrong_cvcs_per_caller": "2/hour"})) as api:
        for number in ("4000000000000002", "4000000000000010"):
            await api.verify(number=number, cvc="123456")
        refused = await api.verify(**shown)
        other = await api.verify("another till", **shown)
    assert refused.status_code == 429
    assert refused.json()["type"].endswith("too-many-attempts")
    assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
    assert other.json()["valid"]


async def test_customers_who_guess_do_not_stop_the_shop_that_names_them(
    settings: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    limits = {"wrong_cvcs_per_caller": "2/hour", "wrong_cvcs_per_end_user": "1/hour"}
    async with open_api(settings.model_copy(update=limits)) as api:
        for nth, number in enumerate(OTHER_NUMBERS):
            await api.verify(end_user=f"guesser {nth}", number=number, cvc="123456")
        buyer = await api.verify(end_user="buyer", **shown)
        nobody_named = await api.verify(**shown)
    assert (buyer.json()["valid"], nobody_named.json()["valid"]) == (True, True)


@pytest.mark.parametrize("end_user", ["guesser", None])
async def test_guesses_of_one_guesser_at_the_same_moment_stay_within_its_limit(
    settings: Settings, stock: Stock, end_user: str | None
) -> None:
    await stock.fill(0)
    limits = dict.fromkeys(["wrong_cvcs_per_caller", "wrong_cvcs_per_end_user"], "3/hour")
    strict = settings.model_copy(update=limits)
    async with open_api(strict) as one, open_api(strict) as other:
        replies = await asyncio.gather(
            *(
                api.verify(end_user=end_user, number=number, cvc="123456")
                for number in OTHER_NUMBERS
                for api in (one, other)
            )
        )
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * (len(replies) - 3)


async def test_wrong_pairs_are_counted_for_each_end_user_that_a_channel_names(
    settings: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    async with open_api(settings.model_copy(update={"wrong_cvcs_per_end_user": "2/hour"})) as api:
        for number in ("4000000000000002", "4000000000000010"):
            await api.verify(end_user="customer 7", number=number, cvc="123456")
        refused = await api.verify(end_user="customer 7", **shown)
        others = [
            await api.verify(end_user="buyer", **shown),
            await api.verify("another till", end_user="customer 7", **shown),
            await api.verify(**shown),
        ]
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-attempts")
    assert [reply.json()["valid"] for reply in others] == [True, True, True]
    kept = await stock.rows("SELECT row_to_json(t)::text AS row FROM wrong_credentials AS t")
    assert "customer 7" not in str(kept)


async def test_what_counts_no_more_is_forgotten(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await published(stock, certificate_id)
    horizon = datetime.now(UTC) + strict.guess_policy.longest_lock
    async with stock.database.transaction() as connection:
        await GuessRepository(connection).forget(datetime.now(UTC) - timedelta(minutes=1))
    assert len(await stock.rows("SELECT 1 FROM wrong_credentials")) == 3
    async with stock.database.transaction() as connection:
        await GuessRepository(connection).forget(horizon)
    assert (
        await stock.rows("SELECT 1 FROM wrong_credentials UNION ALL SELECT 1 FROM verification_locks") == []
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"number": "400000000000"[:11], "cvc": "123456"}, "number"),
        ({"number": "40000000 0000002", "cvc": "123456"}, "number"),
        ({"number": "٤000000000000002", "cvc": "123456"}, "number"),
        ({"number": "4000000000000002", "cvc": "12"}, "cvc"),
        ({"number": "4000000000000002", "cvc": 123456}, "cvc"),
        ({"number": "4000000000000002"}, "cvc"),
        ({"number": "4000000000000002", "cvc": "123456", "channel": "fax"}, "channel"),
    ],
)
async def test_what_does_not_fit_is_named_and_never_repeated(
    api: Api, body: dict[str, Any], field: str
) -> None:
    reply = await api.verify(**body)
    assert reply.status_code == 422
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    for value in body.values():
        assert str(value) not in reply.text


async def test_a_channel_checks_for_itself_only(api: Api, stock: Stock) -> None:
    _, shown = await issued(stock)
    headers = api.headers(channels=["im"])
    reply = await api.client.post("/certificates/verify", json={"channel": "pos"} | shown, headers=headers)
    assert reply.status_code == 403
    assert reply.json()["type"].endswith("channel-not-allowed")
    assert await stock.rows("SELECT 1 FROM wrong_credentials") == []


async def test_neither_number_nor_cvc_is_kept_or_logged(
    strict: Settings, stock: Stock, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate_id, shown = await issued(stock)
    wrong = with_another(shown["cvc"])
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await published(stock, certificate_id)
    kept = [
        await stock.rows("SELECT row_to_json(t)::text AS row FROM wrong_credentials AS t"),
        await stock.rows("SELECT row_to_json(t)::text AS row FROM verification_locks AS t"),
        await stock.rows(
            "SELECT row_to_json(t)::text AS row FROM events AS t WHERE certificate_id IS NOT NULL"
        ),
    ]
    captured = capfd.readouterr()
    text = f"{kept}{captured.out}{captured.err}"
    assert shown["number"] not in text
    for secret in (shown["cvc"], wrong):
        assert f'"{secret}"' not in text
    assert '"route":"/certificates/verify"' in captured.err
