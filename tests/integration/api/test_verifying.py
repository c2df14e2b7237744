"""Number and CVC are checked, and guessing at them leads nowhere."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from api.credentials import CredentialCheck
from api.services import open_services
from giftcert.security import Keyring, keyring_of
from giftcert.settings import Settings
from tests.integration.api.calling import Api, Stock, open_api

pytestmark = pytest.mark.integration
UNKNOWN_NUMBER = "0000000000000000"
NOTHING = dict.fromkeys(["certificateId", "product", "status", "balance", "held", "validUntil"])


def with_another(digits: str) -> str:
    """Other digits of the same length."""
    return digits[:-1] + str((int(digits[-1]) + 1) % 10)


async def issued(stock: Stock, **columns: Any) -> tuple[str, dict[str, str]]:
    await stock.fill(1)
    certificate_id = await stock.make("issued", **{"balance": 500_000, "sequence": 4} | columns)
    return certificate_id, await stock.credentials(certificate_id)


async def guess_wrong(api: Api, shown: dict[str, str], times: int = 1) -> list[httpx.Response]:
    wrong = shown | {"cvc": with_another(shown["cvc"])}
    return [await api.verify(**wrong) for _ in range(times)]


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(update={"wrong_cvcs_per_certificate": "3/hour"})


async def test_a_holder_sees_what_may_be_spent(api: Api, stock: Stock) -> None:
    certificate_id, shown = await issued(stock, balance=300_000, held=50_000)
    reply = await api.verify(**shown)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json() == {
        "valid": True,
        "certificateId": certificate_id,
        "product": "GC-5000",
        "status": "issued",
        "balance": {"amount": 300_000, "currency": "RUB"},
        "held": {"amount": 50_000, "currency": "RUB"},
        "validUntil": None,
    }
    assert shown["number"] not in reply.text


async def test_a_holder_sees_a_block_and_the_end_of_validity(api: Api, stock: Stock) -> None:
    sale = '{"order_id": "IM-1", "line_id": "1", "amount": 1, "valid_until": "2027-01-01T00:00:00Z"}'
    certificate_id, shown = await issued(stock, blocked=True)
    known = f'"certificate_id": "{certificate_id}", "product": "GC-5000", "currency": "RUB", "nominal": 1'
    state = f'{{{known}, "sale": {sale}}}'
    await stock.run("UPDATE certificates SET state = CAST(:state AS jsonb)", state=state)
    reply = (await api.verify(**shown)).json()
    assert (reply["valid"], reply["status"], reply["validUntil"]) == (True, "blocked", "2027-01-01T00:00:00Z")


async def test_a_wrong_number_and_a_wrong_cvc_look_the_same(api: Api, stock: Stock) -> None:
    _, shown = await issued(stock)
    wrong_cvc = await api.verify(number=shown["number"], cvc=with_another(shown["cvc"]))
    wrong_number = await api.verify(number=UNKNOWN_NUMBER, cvc=shown["cvc"])
    assert wrong_cvc.status_code == wrong_number.status_code == 200
    assert wrong_cvc.content == wrong_number.content
    assert wrong_cvc.headers == wrong_number.headers
    assert wrong_cvc.json() == {"valid": False} | NOTHING


class CountingKeyring(Keyring):
    """Opens as the keyring of the settings does, and counts."""

    opened = 0

    @classmethod
    def of(cls, settings: Settings) -> "CountingKeyring":
        known = keyring_of(settings)
        return cls(known._sealing, known._lookup, known.origin)

    def open(self, sealed: bytes, context: bytes) -> str:
        self.opened += 1
        return super().open(sealed, context)


@contextmanager
def statements_of(engine: Any) -> Iterator[list[str]]:
    sent: list[str] = []

    def remember(*about: Any) -> None:
        sent.append(about[2])

    event.listen(engine.sync_engine, "before_cursor_execute", remember)
    yield sent
    event.remove(engine.sync_engine, "before_cursor_execute", remember)


async def work_of(stock: Stock, settings: Settings, number: str, cvc: str) -> tuple[list[str], int]:
    keyring = CountingKeyring.of(settings)
    check = CredentialCheck(stock.engine, keyring, settings)
    with statements_of(stock.engine) as sent:
        assert await check.certificate_of("till", "pos", number, cvc) is None
    return sent, keyring.opened


async def test_a_wrong_number_and_a_wrong_cvc_take_the_same_work_up_to_the_lock(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    for _ in range(5):  # the third locks, the fourth is locked
        wrong_cvc = await work_of(stock, strict, shown["number"], with_another(shown["cvc"]))
        wrong_number = await work_of(stock, strict, UNKNOWN_NUMBER, shown["cvc"])
        assert wrong_cvc == wrong_number
        assert wrong_cvc[1] == 1
    assert await work_of(stock, strict, **shown) == wrong_cvc


async def test_too_many_wrong_cvcs_lock_a_number_and_the_right_one_then_looks_wrong(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as api:
        wrong = await guess_wrong(api, shown, times=2)
        assert (await api.verify(**shown)).json()["valid"]
        wrong += await guess_wrong(api, shown)
        locked = await api.verify(**shown)
    assert locked.content == wrong[0].content
    assert locked.status_code == wrong[0].status_code


async def test_several_processes_count_together_and_a_restart_forgets_nothing(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    for _ in range(3):
        async with open_api(strict) as api:
            await guess_wrong(api, shown)
    async with open_api(strict) as api:
        assert not (await api.verify(**shown)).json()["valid"]


async def test_guesses_at_the_same_moment_are_judged_one_after_another(
    strict: Settings, stock: Stock
) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as one, open_api(strict) as other:
        guesses = [guess_wrong(api, shown) for api in (one, other) for _ in range(6)]
        await asyncio.gather(*guesses)
        assert not (await one.verify(**shown)).json()["valid"]
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
        assert not (await api.verify(**shown)).json()["valid"]


async def test_a_lock_keeps_others_numbers_open(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    _, others = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        assert (await api.verify(**others)).json()["valid"]


async def told(stock: Stock, certificate_id: str) -> list[dict[str, Any]]:
    """The events of a certificate, as soon as no lock waits to be told."""
    while await stock.rows("SELECT 1 FROM verification_locks WHERE NOT told"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return await stock.events(certificate_id)


async def test_a_lock_is_told_once(strict: Settings, stock: Stock) -> None:
    certificate_id, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=5)
        [event] = await told(stock, certificate_id)
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
            await told(stock, certificate_id)
            await stock.run("UPDATE verification_locks SET locked_until = clock_timestamp()")
        assert [event["sequence"] for event in await told(stock, certificate_id)] == [5, 6]


async def test_a_lock_left_untold_by_a_crash_is_told_by_the_next_process(
    strict: Settings, stock: Stock
) -> None:
    certificate_id, shown = await issued(stock)
    check = CredentialCheck(stock.engine, keyring_of(strict), strict)
    for _ in range(3):
        await check.certificate_of("till", "pos", shown["number"], with_another(shown["cvc"]))
    assert await stock.events(certificate_id) == []
    async with open_services(strict):
        assert len(await told(stock, certificate_id)) == 1


async def test_the_life_of_a_certificate_in_the_pool_does_not_begin_with_a_lock(
    strict: Settings, stock: Stock
) -> None:
    await stock.fill(1)
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    shown = await stock.credentials(row["id"])
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await guess_wrong(api, {"number": UNKNOWN_NUMBER, "cvc": "123456"}, times=3)
        assert await told(stock, row["id"]) == []
        assert not (await api.verify(**shown)).json()["valid"]


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


async def test_a_caller_who_asks_too_often_has_to_wait(settings: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    async with open_api(settings.model_copy(update={"verifications_per_caller": "2/minute"})) as api:
        replies = [await api.verify(**shown) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert int(replies[2].headers["retry-after"]) > 0


async def test_what_counts_no_more_is_forgotten(strict: Settings, stock: Stock) -> None:
    _, shown = await issued(stock)
    async with open_api(strict) as api:
        await guess_wrong(api, shown, times=3)
        await told(stock, "00000000-0000-0000-0000-000000000000")
    await stock.run("UPDATE wrong_credentials SET failed_at = failed_at - interval '2 hours'")
    await stock.run("UPDATE verification_locks SET locked_until = clock_timestamp() - interval '2 hours'")
    async with open_services(strict):
        while await stock.rows("SELECT 1 FROM wrong_credentials UNION SELECT 1 FROM verification_locks"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


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
        await told(stock, certificate_id)
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
