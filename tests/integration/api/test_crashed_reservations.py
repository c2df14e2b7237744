"""A crash around any step of a reservation: whole or not at all, once under a key, and nothing is lost to the pool."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.limits import ReservationCap
from giftcert.lifecycle import change
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.claim_batching import ClaimQueue
from giftcert.storage.claims import ClaimRepository
from giftcert.storage.refused_claims import RefusedClaimRepository
from giftcert.storage.reservations import ReservationRepository
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.api.api_client import Api, Stock

pytestmark = pytest.mark.integration
IN_POOL = 9
AROUND_EACH_STEP_OF_A_CLAIM = around_each(
    (ReservationCap, "allows"),
    (ClaimRepository, "_claim"),  # the one statement of a claim; leaving it, it is committed
    (ClaimRepository, "claim"),
    (ClaimQueue, "claim"),
)
COUNTED = ((ClaimRepository, "_count_refused"), (ClaimRepository, "claim"))
"""Leaving these, a refusal is committed."""
OF_AN_END = (
    (ReservationRepository, "find"),
    (change, "lock"),
    (change, "load_locked"),
    (change, "write"),
    (Lifecycle, "_act"),  # leaving it, it is committed
    (Lifecycle, "act"),
)


async def taken(stock: Stock) -> int:
    """How many certificates are reserved: each by one live reservation that the stream was told of."""
    reserved = "SELECT certificate_id, reservation_id FROM certificates WHERE status = 'reserved' ORDER BY 1"
    live = "SELECT certificate_id, reservation_id FROM reservations WHERE resolved_at IS NULL ORDER BY 1"
    published = """SELECT certificate_id, CAST(payload ->> 'reservationId' AS uuid) AS reservation_id FROM events
        WHERE event_type = 'issue.reserved' ORDER BY 1"""
    rows = await stock.rows(reserved)
    assert rows == await stock.rows(live) == await stock.rows(published)
    return len(rows)


async def all_come_back(stock: Stock) -> None:
    """Let every reservation run out."""
    later = datetime.now(UTC) + timedelta(hours=1)
    await stock.run("INSERT INTO ingest_marks VALUES ('All_SalesOrder', 0, '3000-01-01')")
    async with stock.database.transaction() as connection:
        await ReservationRepository(connection).release_lapsed(100, later)
    assert await stock.rows("SELECT count(*) FROM certificates WHERE status = 'available'") == [
        {"count": IN_POOL}
    ]


def assert_crashed(reply: httpx.Response) -> None:
    assert (reply.status_code, reply.json()["type"]) == (500, "/problems/internal-error")


@AROUND_EACH_STEP_OF_A_CLAIM
@pytest.mark.parametrize("quantity", [1, 3])
async def test_a_claim_repeated_with_its_key_is_made_once(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str, quantity: int
) -> None:
    await stock.fill(IN_POOL)
    crash(monkeypatch, step, moment)
    assert_crashed(await api.reserve(key="k", quantity=quantity))
    again = await api.reserve(key="k", quantity=quantity)
    assert again.status_code == 201
    assert len(again.json()) == await taken(stock) == quantity
    assert (await api.reserve(key="k", quantity=quantity)).json() == again.json()
    await all_come_back(stock)


@AROUND_EACH_STEP_OF_A_CLAIM
async def test_a_claim_without_a_key_is_whole_and_what_nobody_heard_of_comes_back(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await stock.fill(IN_POOL)
    crash(monkeypatch, step, moment)
    assert_crashed(await api.reserve(quantity=3))
    unheard_of = await taken(stock)
    assert unheard_of == (3 if moment == AFTER and step[0] in {ClaimRepository, ClaimQueue} else 0)
    assert (await api.reserve(quantity=3)).status_code == 201
    assert await taken(stock) == unheard_of + 3
    await all_come_back(stock)


@around_each(
    (ClaimRepository, "_claim_patiently"),
    (RefusedClaimRepository, "add"),
    *COUNTED,
)
async def test_no_refusal_is_answered_that_is_not_counted(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    crash(monkeypatch, step, moment)
    assert_crashed(await api.next(key="k"))
    assert (await api.next(key="k")).status_code == 409
    [counted] = await stock.rows("""SELECT (SELECT coalesce(sum(attempts), 0) FROM refused_claims)
        + sum(CAST(payload ->> 'attempts' AS integer)) AS attempts FROM events WHERE event_type = 'issue.blocked'""")
    assert counted["attempts"] == (2 if moment == AFTER and step in COUNTED else 1)


@around_each(*OF_AN_END)
async def test_an_extension_repeated_with_its_key_is_the_same(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await stock.fill(IN_POOL)
    path = f"/reservations/{(await api.next()).json()['reservationId']}/extend"
    crash(monkeypatch, step, moment)
    assert_crashed(await api.client.post(path, headers=api.headers(key="k")))
    [first, again] = [await api.client.post(path, headers=api.headers(key="k")) for _ in range(2)]
    assert (first.status_code, again.json()) == (200, first.json())
    until = datetime.fromisoformat(first.json()["reservedUntil"])
    columns = "SELECT c.reserved_until, r.reserved_until AS same FROM certificates c JOIN reservations r"
    assert await stock.rows(f"{columns} USING (reservation_id)") == [{"reserved_until": until, "same": until}]
    assert await taken(stock) == 1


@around_each(*OF_AN_END)
async def test_a_certificate_is_given_back_once(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await stock.fill(IN_POOL)
    claim = (await api.next()).json()
    path = f"/reservations/{claim['reservationId']}"
    crash(monkeypatch, step, moment)
    assert_crashed(await api.client.delete(path, headers=api.headers(key="k")))
    for _ in range(2):
        assert (await api.client.delete(path, headers=api.headers(key="k"))).status_code == 204
    published = [(one["event_type"], one["sequence"]) for one in await stock.events(claim["certificateId"])]
    assert published == [("issue.reserved", 1), ("issue.released", 2)]
    assert await stock.rows("SELECT resolution FROM reservations") == [{"resolution": "channelReleased"}]
    await all_come_back(stock)
