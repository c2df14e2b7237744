from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from giftcert.contracts.stream import stamp
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import ReleaseReservation
from giftcert.domain.policy import Policy, Terms
from giftcert.storage.certificates import CertificateRepository
from tests.integration.api.api_client import FIXED, Api, Stock
from tests.integration.api.sales import ordered, orders_of
from tests.integration.api.test_reserve import assert_told

pytestmark = pytest.mark.integration


async def reserved(api: Api, stock: Stock) -> dict[str, str]:
    await stock.fill(1)
    body: dict[str, str] = (await api.next()).json()
    return body


def path_of(claim: dict[str, str]) -> str:
    return f"/reservations/{claim['reservationId']}"


async def test_a_channel_gives_a_certificate_back(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    async with stock.database.connection() as connection:
        before = await CertificateRepository(connection).load(claim["certificateId"])
    reply = await api.client.delete(path_of(claim), headers=api.headers())
    assert reply.status_code == 204
    [row] = await stock.rows("SELECT * FROM certificates")
    [reservation] = await stock.rows("SELECT * FROM reservations")
    assert (row["status"], row["sequence"], row["version"]) == ("available", 2, 2)
    assert reservation["resolution"] == "channelReleased"
    now = reservation["resolved_at"]
    assert row["available_since"] == now
    message = ReleaseReservation(claim["reservationId"])
    decision = decide(before.state, message, now, Terms(FIXED, Policy()), lambda: "unused")
    [expected] = stamp(before.state, decision.recorded, at=now, channel="im")
    await assert_told(stock, claim["certificateId"], expected)


async def test_giving_back_twice_is_giving_back_once(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    replies = [await api.client.delete(path_of(claim), headers=api.headers()) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [204, 204]
    assert len(await stock.events(claim["certificateId"])) == 2


async def test_a_certificate_given_back_can_be_given_again(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    await api.client.delete(path_of(claim), headers=api.headers())
    again = (await api.next()).json()
    assert again["certificateId"] == claim["certificateId"]
    assert again["reservationId"] != claim["reservationId"]
    assert [event["sequence"] for event in await stock.events(claim["certificateId"])] == [1, 2, 3]


async def test_an_extension_goes_up_to_the_products_limit(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    await stock.run("UPDATE certificates SET reserved_at = reserved_at - interval '1 hour 55 minutes'")
    reply = await api.client.post(path_of(claim) + "/extend", headers=api.headers())
    [row] = await stock.rows("SELECT * FROM certificates")
    assert reply.status_code == 200
    until = datetime.fromisoformat(reply.json()["reservedUntil"])
    # The first half hour lies beyond the five minutes that are left of the limit.
    assert until == row["reserved_until"] == datetime.fromisoformat(claim["reservedUntil"])
    assert len(await stock.events(claim["certificateId"])) == 1


async def test_an_extension_moves_certificate_and_reservation_alike(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    shorter = "SET reserved_until = reserved_until - interval '10 minutes'"
    await stock.run(f"UPDATE certificates {shorter}")
    await stock.run(f"UPDATE reservations {shorter}")
    reply = await api.client.post(path_of(claim) + "/extend", headers=api.headers())
    until = datetime.fromisoformat(reply.json()["reservedUntil"])
    [row] = await stock.rows(
        "SELECT c.reserved_until, r.reserved_until AS same FROM certificates c, reservations r"
    )
    assert row == {"reserved_until": until, "same": until}
    assert until >= datetime.fromisoformat(claim["reservedUntil"])
    assert until < datetime.fromisoformat(claim["reservedUntil"]) + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("resolution", "status", "problem"),
    [("ordered", 409, "already-ordered"), ("reservationExpired", 410, "reservation-ended")],
)
async def test_a_resolved_reservation_can_be_neither_extended_nor_given_back(
    api: Api, stock: Stock, resolution: str, status: int, problem: str
) -> None:
    claim = await reserved(api, stock)
    if resolution == "ordered":
        await orders_of(stock).tell(ordered("IM-1", claim))
    else:
        await stock.run("UPDATE certificates SET status = 'available', reservation_ended = true")
        await stock.run("UPDATE reservations SET resolved_at = now(), resolution = 'reservationExpired'")
    for reply in (
        await api.client.post(path_of(claim) + "/extend", headers=api.headers()),
        await api.client.delete(path_of(claim), headers=api.headers()),
    ):
        assert reply.status_code == status
        assert reply.json()["type"].endswith(problem)


async def test_a_repeat_of_an_extension_whose_reservation_was_ordered_since_says_so(
    api: Api, stock: Stock
) -> None:
    claim = await reserved(api, stock)
    extend = path_of(claim) + "/extend"
    assert (await api.client.post(extend, headers=api.headers(key="k"))).status_code == 200
    await orders_of(stock).tell(ordered("IM-1", claim))
    assert (await api.client.post(extend, headers=api.headers(key="k"))).status_code == 409


async def test_another_channel_cannot_end_a_reservation(api: Api, stock: Stock) -> None:
    claim = await reserved(api, stock)
    reply = await api.client.delete(path_of(claim), headers=api.headers(channels=["pos"]))
    assert reply.status_code == 403


async def test_an_unknown_reservation_is_not_found(api: Api) -> None:
    reply = await api.client.delete(f"/reservations/{uuid4()}", headers=api.headers())
    assert reply.status_code == 404
    assert reply.json()["type"].endswith("unknown-reservation")
