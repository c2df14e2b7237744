import asyncio

import pytest

from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api
from tests.waiting import until

pytestmark = pytest.mark.integration


async def test_a_repeat_under_the_same_key_gets_the_same_answer(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    first, again = await api.next(key="order-1"), await api.next(key="order-1")
    assert again.json() == first.json()
    assert "idempotency-hit" not in first.headers
    assert again.headers["idempotency-hit"] == "true"
    assert len(await stock.rows("SELECT 1 FROM reservations")) == 1


async def test_one_repeat_at_the_same_moment_waits_for_the_first_and_others_come_again(
    api: Api, stock: Stock
) -> None:
    await stock.fill(40)
    replies = await asyncio.gather(*(api.next(key="order-1") for _ in range(16)))
    answered = [reply for reply in replies if reply.status_code == 200]
    refused = [reply for reply in replies if reply.status_code == 503]
    assert (len(answered), len(refused)) == (2, 14)
    assert len({reply.json()["certificateId"] for reply in answered}) == 1
    assert sum("idempotency-hit" not in reply.headers for reply in answered) == 1
    for reply in refused:
        assert reply.json()["type"].endswith("request-in-progress")
        assert int(reply.headers["retry-after"]) > 0
    assert (await api.next(key="order-1")).headers["idempotency-hit"] == "true"
    assert len(await stock.rows("SELECT 1 FROM reservations")) == 1


async def test_repeats_in_two_processes_claim_once(settings: Settings, stock: Stock) -> None:
    await stock.fill(40)
    async with open_api(settings) as one, open_api(settings) as other:
        replies = await asyncio.gather(*(api.next(key="order-1") for api in (one, other)))
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].json() == replies[1].json()
    assert len(await stock.rows("SELECT 1 FROM reservations")) == 1


async def test_a_repeat_waits_no_longer_than_two_seconds_and_others_are_served(
    api: Api, stock: Stock
) -> None:
    """Support repeats a request eight times while the first is slow: the certificate is locked elsewhere."""
    await stock.fill(9)
    claim = (await api.next()).json()
    path = f"/certificates/{claim['certificateId']}/block"
    headers = api.headers("support", key="block-1")
    async with stock.database.transaction() as other:
        await other.execute("SELECT 1 FROM certificates FOR UPDATE")
        began = asyncio.get_running_loop().time()
        first = asyncio.create_task(api.client.post(path, json={"reason": "stolen"}, headers=headers))
        await until(lambda: _waits_for_lock(stock))
        repeats = [
            asyncio.create_task(api.client.post(path, json={"reason": "stolen"}, headers=headers))
            for _ in range(8)
        ]
        assert (await api.as_role("ops", "/pool")).status_code == 200
        busy = [await one for one in repeats[1:]]
        assert asyncio.get_running_loop().time() - began < 1
        assert {reply.status_code for reply in busy} == {503}
        late = [await repeats[0], await first]
        assert {reply.status_code for reply in late} == {503}
    done = await api.client.post(path, json={"reason": "stolen"}, headers=headers)
    assert (done.status_code, done.json()["status"]) == (200, "blocked")
    assert len(await stock.events(claim["certificateId"])) == 3  # reserved, blocked, who did it


async def _waits_for_lock(stock: Stock) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await stock.rows(waiting))


async def test_a_repeat_of_the_last_certificates_claim_is_answered_too(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    first, again = [await api.next(key="order-1") for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


async def test_a_key_with_other_parameters_is_a_mismatch(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    await api.next(key="order-1")
    other = await api.next(key="order-1", channel="pos")
    assert other.status_code == 422
    assert other.json()["type"].endswith("idempotency-mismatch")


async def test_a_key_belongs_to_its_caller_and_its_call(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    mine = await api.next(key="order-1")
    query = {"channel": "im", "product": "GC-5000"}
    other_caller = api.headers(subject="another shop", key="order-1")
    theirs = await api.client.get("/certificates/next", params=query, headers=other_caller)
    other_call = await api.reserve(key="order-1")
    given = {
        mine.json()["certificateId"],
        theirs.json()["certificateId"],
        other_call.json()[0]["certificateId"],
    }
    assert len(given) == 3


async def test_a_refusal_is_not_remembered(api: Api, stock: Stock) -> None:
    assert (await api.next(key="order-1")).status_code == 409
    await stock.fill(1)
    assert (await api.next(key="order-1")).status_code == 200


async def test_a_repeat_after_the_reservation_has_ended_says_so(api: Api, stock: Stock) -> None:
    await stock.fill(2)
    first = (await api.next(key="order-1")).json()
    await api.client.delete(f"/reservations/{first['reservationId']}", headers=api.headers())
    again = await api.next(key="order-1")
    assert again.status_code == 410
    assert again.json()["type"].endswith("reservation-ended")


async def test_several_certificates_come_again_whole(api: Api, stock: Stock) -> None:
    await stock.fill(9)
    first, again = await api.reserve(key="k", quantity=4), await api.reserve(key="k", quantity=4)
    assert again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["idempotency-hit"] == "true"
    assert (await api.reserve(key="k", quantity=5)).status_code == 422


async def test_a_key_is_forgotten_after_a_day(api: Api, stock: Stock) -> None:
    await stock.fill(2)
    first = await api.next(key="order-1")
    await stock.run("UPDATE idempotency_keys SET answered_at = answered_at - interval '24 hours 1 second'")
    later = await api.next(key="order-1", channel="pos")
    assert later.status_code == 200
    assert later.json()["certificateId"] != first.json()["certificateId"]


@pytest.mark.parametrize("key", ["", "k" * 65])
async def test_a_key_of_a_wrong_length_is_named(api: Api, key: str) -> None:
    headers = api.headers() | {"Idempotency-Key": key}
    reply = await api.client.get("/certificates/next", params={"channel": "im"}, headers=headers)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_an_extension_counts_once_under_its_key(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    path = f"/reservations/{(await api.next()).json()['reservationId']}/extend"
    first = await api.client.post(path, headers=api.headers(key="longer"))
    again = await api.client.post(path, headers=api.headers(key="longer"))
    without = await api.client.post(path, headers=api.headers())
    assert again.json() == first.json()
    assert again.headers["idempotency-hit"] == "true"
    assert without.json()["reservedUntil"] > first.json()["reservedUntil"]
