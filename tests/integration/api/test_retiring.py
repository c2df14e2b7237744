"""Operations withdraw a batch or one certificate, and the stream tells it."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from giftcert.contracts.stream import stamp
from giftcert.domain.decide import decide
from giftcert.domain.messages import Block, PersonMessage, Retire
from giftcert.domain.policy import Policy, Terms
from giftcert.people import retiring
from giftcert.people.deciding import Act
from giftcert.people.retiring import Retiring
from giftcert.storage.certificates import CertificateRepository
from tests.integration.api.calling import FIXED, Api, Stock
from tests.integration.api.test_reserving import assert_told

pytestmark = pytest.mark.integration
WHY = "the printer lost a box"
WAITING_FOR_LOCK = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def retire(api: Api, key: str | None = None, reason: str = WHY, **what: Any) -> httpx.Response:
    headers = api.headers("ops", subject="olga", key=key)
    return await api.client.post("/pool/retire", json={"reason": reason, **what}, headers=headers)


async def batch_of(stock: Stock) -> str:
    [row] = await stock.rows("SELECT batch_id::text AS id FROM batches ORDER BY created_at DESC LIMIT 1")
    return str(row["id"])


async def status_of(stock: Stock, certificate_id: str) -> tuple[str, bool]:
    [row] = await stock.rows("SELECT * FROM certificates WHERE certificate_id = :id", id=certificate_id)
    return row["status"], row["blocked"]


async def expect_told(stock: Stock, certificate_id: str, message: PersonMessage, before: Any) -> None:
    """The last event is what the domain makes of the message."""
    [told] = (await stock.events(certificate_id))[-1:]
    now = told["occurred_at"]
    events = decide(before.state, message, now, Terms(FIXED, Policy()), lambda: "unused")
    [expected] = stamp(
        before.state, events, at=now, occurred_at=now, channel=before.state.sale_channel, cause=None
    )
    await assert_told(stock, certificate_id, expected)


async def load(stock: Stock, certificate_id: str) -> Any:
    async with stock.engine.connect() as connection:
        return await CertificateRepository(connection).load(certificate_id)


async def test_a_batch_is_withdrawn_whole_and_each_kind_is_counted(api: Api, stock: Stock) -> None:
    await stock.fill(9)
    for status in ("ordered", "issued", "partiallyRedeemed", "refunded", "expired"):
        await stock.make(status, sequence=3, order_id="IM-1", line_id=status)
    await api.next()
    reply = await retire(api, batchId=await batch_of(stock))
    assert reply.status_code == 200
    assert reply.json() == {
        "retired": 4,
        "blocked": 3,
        "statuses": {"blocked": 3, "expired": 1, "refunded": 1, "retired": 4},
    }
    assert (await api.next()).status_code == 409


async def test_what_was_never_reserved_is_told_by_one_event_of_the_product(api: Api, stock: Stock) -> None:
    await stock.fill(5)
    batch_id = await batch_of(stock)
    await retire(api, batchId=batch_id)
    told = [one for one in await stock.events() if one["event_type"] == "audit.operatorActed"]
    assert [(one["stream_key"], one["product_id"]) for one in told] == [("GC-5000", "GC-5000")]
    assert told[0]["payload"] == {
        "who": "olga",
        "what": f"retired 5 certificates of batch {batch_id} that were never reserved: {WHY}",
    }
    rows = await stock.rows("SELECT DISTINCT status, sequence, version FROM certificates")
    assert rows == [{"status": "retired", "sequence": 0, "version": 1}]


async def test_a_reserved_certificate_is_retired_with_its_reservation(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    claim = (await api.next()).json()
    before = await load(stock, claim["certificateId"])
    await retire(api, batchId=await batch_of(stock))
    await expect_told(stock, claim["certificateId"], Retire(key="k", reason=WHY, by="olga"), before)
    [reservation] = await stock.rows("SELECT * FROM reservations")
    assert reservation["resolution"] == "retired"
    after = await load(stock, claim["certificateId"])
    assert (after.state.status, after.state.reservation.ended, after.version) == ("retired", True, 2)
    for call in (api.client.delete, api.client.post):
        path = f"/reservations/{claim['reservationId']}" + ("/extend" if call == api.client.post else "")
        assert (await call(path, headers=api.headers())).status_code == 410


async def test_a_certificate_given_back_before_is_told_by_itself(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    claim = (await api.next()).json()
    await api.client.delete(f"/reservations/{claim['reservationId']}", headers=api.headers())
    await retire(api, batchId=await batch_of(stock))
    [reserved, released, retired] = await stock.events(claim["certificateId"])
    assert [reserved["sequence"], released["sequence"], retired["sequence"]] == [1, 2, 3]
    assert (retired["event_type"], retired["status"]) == ("audit.retired", "retired")
    assert "audit.operatorActed" not in {one["event_type"] for one in await stock.events()}


async def test_a_sold_certificate_is_blocked_and_keeps_its_money(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    certificate_id = await stock.make(
        "issued", sequence=3, balance=500_000, sale_channel="im", available_since=datetime.now(UTC)
    )
    before = await load(stock, certificate_id)
    await retire(api, batchId=await batch_of(stock))
    await expect_told(stock, certificate_id, Block(key="k", reason=WHY, by="olga"), before)
    after = await load(stock, certificate_id)
    assert (after.state.status, after.state.blocked, after.state.balance) == ("issued", True, 500_000)
    assert after.version == before.version + 1


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("available", ("retired", False)),
        ("reserved", ("retired", False)),
        ("issued", ("issued", True)),
        ("refunded", ("refunded", False)),
        ("retired", ("retired", False)),
    ],
)
async def test_one_certificate_is_withdrawn_as_its_status_allows(
    api: Api, stock: Stock, status: str, becomes: tuple[str, bool]
) -> None:
    await stock.fill(2)
    certificate_id = await stock.make(status, sequence=1)
    reply = await retire(api, certificateId=certificate_id)
    assert reply.status_code == 200
    assert await status_of(stock, certificate_id) == becomes
    assert sum(reply.json()["statuses"].values()) == 1
    [other] = await stock.rows(
        "SELECT status FROM certificates WHERE certificate_id <> :id", id=certificate_id
    )
    assert other["status"] == "available"
    assert all(one["event_type"].startswith("audit.") for one in await stock.events(certificate_id))


async def test_withdrawing_again_changes_nothing_and_says_how_it_stands(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    await stock.make("issued", sequence=3)
    batch_id = await batch_of(stock)
    await retire(api, batchId=batch_id)
    told = await stock.rows("SELECT count(*) AS events FROM events")
    again = (await retire(api, batchId=batch_id)).json()
    assert again == {"retired": 0, "blocked": 0, "statuses": {"blocked": 1, "retired": 2}}
    assert await stock.rows("SELECT count(*) AS events FROM events") == told


async def test_a_repeat_under_the_same_key_gets_the_first_answer(api: Api, stock: Stock) -> None:
    await stock.fill(30)
    what = {"batchId": await batch_of(stock)}
    replies = await asyncio.gather(*(retire(api, key="k", **what) for _ in range(4)))
    assert {reply.json()["retired"] for reply in replies} == {30}
    assert sum("idempotency-hit" in reply.headers for reply in replies) == 3
    other = await retire(api, key="k", reason="another", **what)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-mismatch")


async def test_other_batches_stay(api: Api, stock: Stock) -> None:
    await stock.fill(2)
    first = await batch_of(stock)
    await stock.fill(3)
    await retire(api, batchId=first)
    [count] = (await api.as_role("ops", "/pool")).json()
    assert count["statuses"] == {"available": 3, "retired": 2}


async def test_a_large_batch_goes_in_parts_that_each_tell_their_number(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retiring, "CHUNK", 4)
    await stock.fill(10)
    sold = await stock.make("issued", sequence=3)
    seen: list[int] = []
    work = Retiring(stock.engine, Policy(), Act(WHY, "olga"), progress=seen.append)
    done = await work.batch(UUID(await batch_of(stock)))
    assert (done.retired, done.blocked) == (9, 1)
    assert seen == [4, 8, 10]
    acts = [one["payload"]["what"] for one in await stock.events() if "who" in one["payload"]]
    assert sum(int(what.split()[1]) for what in acts) == 9
    assert len(acts) == 3
    assert await status_of(stock, sold) == ("issued", True)


async def test_a_claim_that_came_first_is_retired_as_reserved(api: Api, stock: Stock) -> None:
    """The claim's transaction is still open when the batch is locked, and ends before its turn comes."""
    await stock.fill(1)
    batch_id = await batch_of(stock)
    async with stock.engine.begin() as connection:
        [row] = await stock.rows("SELECT certificate_id FROM certificates")
        await CertificateRepository(connection).lock(str(row["certificate_id"]), ())
        withdrawing = asyncio.create_task(retire(api, batchId=batch_id))
        while not await stock.rows(WAITING_FOR_LOCK):  # noqa: ASYNC110 - the condition is in PostgreSQL
            await asyncio.sleep(0.01)
        await connection.exec_driver_sql(
            """UPDATE certificates SET status = 'reserved', reservation_ended = false, sequence = 1,
                reservation_id = uuidv7(), reservation_channel = 'im', reserved_at = now(), reserved_until = now()"""
        )
    assert (await withdrawing).json()["retired"] == 1
    [told] = await stock.events(str(row["certificate_id"]))
    assert (told["event_type"], told["sequence"]) == ("audit.retired", 2)


async def test_unknown_and_unclear_orders_are_refused(api: Api) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"batchId": str(uuid4())}, 404, "unknown-batch"),
        ({"certificateId": str(uuid4())}, 404, "unknown-certificate"),
        ({}, 422, "batchId"),
        ({"batchId": str(uuid4()), "certificateId": str(uuid4())}, 422, "certificateId"),
        ({"batchId": "abc"}, 422, "batchId"),
        ({"batchId": str(uuid4()), "reason": " "}, 422, "reason"),
        ({"batchId": str(uuid4()), "reason": "stolen: 4000 0000 0000 0002"}, 422, "reason"),
        ({"batchId": str(uuid4()), "reason": "ask anna@example.com"}, 422, "reason"),
    ]
    for body, status, name in cases:
        reply = await retire(api, **body)
        assert reply.status_code == status, body
        assert name in (reply.json()["type"] if status == 404 else reply.json()["errors"][0]["field"])
        assert "4000" not in reply.text
    assert (await api.client.post("/pool/retire", json={}, headers=api.headers("support"))).status_code == 403
