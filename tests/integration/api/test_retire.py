"""Operations withdraw a batch or one certificate: answered with an operation, carried on in steps."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from giftcert.lifecycle.retirement import retire_next
from giftcert.storage.operations import OperationRepository
from tests.integration.api.api_client import Api, Stock
from tests.integration.api.refund_desk import Desk
from tests.integration.api.sales import orders_of

pytestmark = pytest.mark.integration
WHY = "the printer lost a box"


@pytest.fixture
def desk(api: Api, stock: Stock) -> Desk:
    return Desk(api, stock, orders_of(stock))


async def retire(api: Api, key: str | None = None, reason: str = WHY, **what: Any) -> httpx.Response:
    headers = api.headers("ops", subject="olga", key=key)
    return await api.client.post("/pool/retire", json={"reason": reason, **what}, headers=headers)


async def carry_out(desk: Desk, **what: Any) -> dict[str, Any]:
    """Ask for a retirement, do what its workflow does, and return the operation."""
    reply = await retire(desk.api, **what)
    assert reply.status_code == 202
    operation_id = reply.json()["operationId"]
    while not (await retire_next(desk.orders.lifecycle, UUID(operation_id), datetime.now(UTC))).finished:
        pass
    return dict((await desk.api.as_role("ops", f"/operations/{operation_id}")).json())


async def batch_of(stock: Stock) -> str:
    [row] = await stock.rows("SELECT batch_id::text AS id FROM batches ORDER BY created_at DESC LIMIT 1")
    return str(row["id"])


async def status_of(stock: Stock, certificate_id: str) -> tuple[str, bool]:
    [row] = await stock.rows("SELECT * FROM certificates WHERE certificate_id = :id", id=certificate_id)
    return row["status"], row["blocked"]


async def test_a_retirement_is_answered_with_an_operation_to_look_at(api: Api, stock: Stock) -> None:
    await stock.fill(9)
    batch_id = await batch_of(stock)
    reply = await retire(api, batchId=batch_id)
    assert reply.status_code == 202
    operation = reply.json()
    assert (operation["batchId"], operation["certificateId"], operation["reason"]) == (batch_id, None, WHY)
    assert (operation["total"], operation["done"], operation["finishedAt"]) == (9, 0, None)
    assert (await api.as_role("ops", f"/operations/{operation['operationId']}")).json() == operation
    async with stock.database.connection() as connection:
        unfinished = await OperationRepository(connection).unfinished()
    assert [str(one) for one in unfinished] == [operation["operationId"]]


async def test_a_batch_is_withdrawn_whole_and_each_kind_is_counted(desk: Desk) -> None:
    refunded = await desk.sell()
    await desk.refund(refunded)
    ordered, issued = await desk.sell(paid=False), await desk.sell()
    await desk.stock.run("UPDATE certificates SET batch_id = (SELECT max(batch_id::text)::uuid FROM batches)")
    await desk.stock.run("UPDATE batches SET quantity = (SELECT count(*) FROM certificates)")
    operation = await carry_out(desk, batchId=await batch_of(desk.stock))
    assert operation["done"] == operation["total"] == 3
    assert (operation["retired"], operation["blocked"]) == (0, 2)
    assert operation["finishedAt"] is not None
    statuses = [await status_of(desk.stock, one.certificate_id) for one in (refunded, ordered, issued)]
    assert statuses == [("refunded", False), ("ordered", True), ("issued", True)]
    assert (await desk.api.next()).status_code == 409


async def test_a_reserved_certificate_is_retired_with_its_reservation(desk: Desk) -> None:
    await desk.stock.fill(1)
    claim = (await desk.api.next()).json()
    await carry_out(desk, batchId=await batch_of(desk.stock))
    [reservation] = await desk.stock.rows("SELECT * FROM reservations")
    assert reservation["resolution"] == "retired"
    published = await desk.stock.events(claim["certificateId"])
    assert [one["event_type"] for one in published] == ["issue.reserved", "audit.retired"]
    client, path = desk.api.client, f"/reservations/{claim['reservationId']}"
    assert (await client.delete(path, headers=desk.api.headers())).status_code == 410
    assert (await client.post(f"{path}/extend", headers=desk.api.headers())).status_code == 410


@pytest.mark.parametrize("kind", ["available", "reserved", "issued", "refunded"])
async def test_one_certificate_is_withdrawn_at_once_as_its_status_allows(desk: Desk, kind: str) -> None:
    if kind in {"issued", "refunded"}:
        sold = await desk.sell()
        certificate_id = sold.certificate_id
        if kind == "refunded":
            await desk.refund(sold)
    else:
        await desk.stock.fill(1)
        [row] = await desk.stock.rows("SELECT certificate_id::text AS id FROM certificates")
        certificate_id = row["id"]
        if kind == "reserved":
            await desk.api.next()
    reply = await retire(desk.api, certificateId=certificate_id)
    assert reply.status_code == 202
    operation = (await desk.api.as_role("ops", f"/operations/{reply.json()['operationId']}")).json()
    assert (operation["done"], operation["total"]) == (1, 1)
    assert operation["finishedAt"] is not None
    becomes = {"available": "retired", "reserved": "retired", "issued": "issued", "refunded": "refunded"}
    assert await status_of(desk.stock, certificate_id) == (becomes[kind], kind == "issued")


async def test_withdrawing_again_changes_nothing_and_says_how_it_stands(desk: Desk) -> None:
    await desk.sell()
    batch_id = await batch_of(desk.stock)
    await carry_out(desk, batchId=batch_id)
    of_certificates = "SELECT count(*) AS events FROM events WHERE certificate_id IS NOT NULL"
    published = await desk.stock.rows(of_certificates)
    again = await carry_out(desk, batchId=batch_id)
    assert (again["retired"], again["blocked"], again["done"]) == (0, 1, 1)
    assert await desk.stock.rows(of_certificates) == published


async def test_a_repeat_under_the_same_key_gets_the_first_operation(api: Api, stock: Stock) -> None:
    await stock.fill(30)
    what = {"batchId": await batch_of(stock)}
    replies = await asyncio.gather(*(retire(api, key="k", **what) for _ in range(4)))
    answered = [reply for reply in replies if reply.status_code == 202]
    assert all(reply.status_code == 503 for reply in replies if reply not in answered)
    again = await retire(api, key="k", **what)
    assert again.headers["idempotency-hit"] == "true"
    assert {reply.json()["operationId"] for reply in answered} == {again.json()["operationId"]}
    assert len(await stock.rows("SELECT 1 FROM operations")) == 1
    other = await retire(api, key="k", reason="another", **what)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-mismatch")


async def test_other_batches_stay(desk: Desk) -> None:
    await desk.stock.fill(2)
    first = await batch_of(desk.stock)
    await desk.stock.fill(3)
    await carry_out(desk, batchId=first)
    [count] = (await desk.api.as_role("ops", "/pool")).json()
    assert count["statuses"] == {"available": 3, "retired": 2}


async def test_unknown_and_unclear_orders_are_refused(api: Api, stock: Stock) -> None:
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
    assert await stock.rows("SELECT 1 FROM operations") == []
    assert (await api.client.post("/pool/retire", json={}, headers=api.headers("support"))).status_code == 403
    unknown = await api.as_role("ops", f"/operations/{uuid4()}")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/unknown-operation")
    assert (await api.as_role("support", f"/operations/{uuid4()}")).status_code == 403
