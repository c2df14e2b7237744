import logging
from uuid import uuid4

import httpx
import pytest

from giftcert.domain.numbers import is_number
from giftcert.domain.products import Product
from giftcert.settings import Settings
from tests.integration.api.calling import Api, Stock, open_api

pytestmark = pytest.mark.integration


async def disclose(api: Api, certificate_id: str, role: str = "crm") -> httpx.Response:
    why = {"purpose": "notification", "notificationId": "N-1"}
    return await api.as_role(role, f"/certificates/{certificate_id}/cvc", **why)


@pytest.mark.parametrize("status", ["issued", "partiallyRedeemed"])
async def test_crm_gets_number_and_cvc_of_a_spendable_certificate(
    api: Api, stock: Stock, status: str
) -> None:
    await stock.fill(1)
    certificate_id = await stock.make(status)
    reply = await disclose(api, certificate_id)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["sealed-secrets-from"] == "storage"  # Temporal is away
    body = reply.json()
    [row] = await stock.rows("SELECT * FROM certificates")
    assert is_number(body["number"])
    assert body["number"].endswith(row["last_four"])
    assert len(body["cvc"]) == 6
    assert body["cvc"].isdigit()


async def test_a_disclosure_is_recorded_and_told(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    certificate_id = await stock.make("issued")
    await disclose(api, certificate_id)
    [record] = await stock.rows("SELECT * FROM disclosures")
    [event] = await stock.events(certificate_id)
    assert (record["disclosed_to"], record["purpose"], record["notification_id"]) == (
        "crm",
        "notification",
        "N-1",
    )
    assert (event["event_type"], event["sequence"]) == ("audit.cvcDisclosed", record["sequence"])
    assert event["payload"] == {"disclosedTo": "crm", "purpose": "notification", "notificationId": "N-1"}
    assert event["status"] == "issued"


@pytest.mark.parametrize(
    ("status", "columns", "problem", "shown"),
    [
        ("available", {}, "not-active", "available"),
        ("reserved", {}, "not-issued", "reserved"),
        ("ordered", {}, "not-issued", "ordered"),
        ("redeemed", {}, "not-active", "redeemed"),
        ("refunded", {}, "not-active", "refunded"),
        ("expired", {}, "not-active", "expired"),
        ("retired", {}, "not-active", "retired"),
        ("issued", {"blocked": True}, "not-issued", "blocked"),
    ],
)
async def test_a_cvc_is_refused_with_the_status_and_the_refusal_told(
    api: Api, stock: Stock, status: str, columns: dict[str, object], problem: str, shown: str
) -> None:
    await stock.fill(1)
    certificate_id = await stock.make(status, **columns)
    reply = await disclose(api, certificate_id)
    assert reply.status_code == 409
    assert reply.json()["type"].endswith(problem)
    assert reply.json()["certificateStatus"] == shown
    assert await stock.rows("SELECT 1 FROM disclosures") == []
    [event] = await stock.events(certificate_id)
    assert (event["event_type"], event["payload"]["reason"]) == ("audit.cvcRefused", problem)


async def test_a_cvc_is_refused_while_a_refund_is_open(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    case = '{"refund_case_id": "c", "state": "pendingDetails", "amount": 1}'
    sale = f'{{"order_id": "IM-1", "line_id": "1", "amount": 1, "cases": [{case}]}}'
    state = (
        f'{{"certificate_id": "c", "product": "GC-5000", "currency": "RUB", "nominal": 1, "sale": {sale}}}'
    )
    certificate_id = await stock.make("issued", refund_state="pendingDetails")
    await stock.run("UPDATE certificates SET state = CAST(:state AS jsonb)", state=state)
    reply = await disclose(api, certificate_id)
    assert reply.status_code == 409
    assert reply.json()["type"].endswith("not-issued")
    assert reply.json()["refundState"] == "pendingDetails"


@pytest.mark.parametrize("role", ["channel", "support", "ops"])
async def test_only_crm_may_ask_for_a_cvc(api: Api, stock: Stock, role: str) -> None:
    await stock.fill(1)
    reply = await disclose(api, await stock.make("issued"), role)
    assert reply.status_code == 403
    assert reply.json()["type"].endswith("role-not-allowed")


async def test_a_purpose_must_be_named_and_known(api: Api) -> None:
    for query in ({}, {"purpose": "curiosity"}):
        reply = await api.as_role("crm", f"/certificates/{uuid4()}/cvc", **query)
        assert reply.status_code == 422
        assert reply.json()["errors"][0]["field"] == "purpose"
        assert "curiosity" not in reply.text


async def test_an_unknown_certificate_has_no_cvc(api: Api) -> None:
    assert (await disclose(api, str(uuid4()))).status_code == 404


async def test_asking_too_often_for_one_certificate_is_refused(settings: Settings, stock: Stock) -> None:
    await stock.fill(1)
    certificate_id = await stock.make("issued")
    async with open_api(settings.model_copy(update={"disclosures_per_certificate": "2/minute"})) as api:
        replies = [await disclose(api, certificate_id) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60
    assert len(await stock.rows("SELECT 1 FROM disclosures")) == 2


async def test_nobody_but_the_reply_learns_number_and_cvc(
    api: Api, stock: Stock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    # Eight digits do not turn up among random ones by chance.
    await stock.fill(1, Product("GC-LONG", "RUB", nominal=500_000, cvc_length=8))
    claim = (await api.next(key="k", product="GC-LONG")).json()
    await stock.run(
        "UPDATE certificates SET status = 'issued', order_id = 'o', line_id = '1', reservation_ended = true"
    )
    secrets = (await disclose(api, claim["certificateId"])).json()
    view = (await api.as_role("support", f"/certificates/{claim['certificateId']}")).text
    tables = ("certificates", "events", "idempotency_keys", "disclosures", "reservations")
    stored = "".join([str(await stock.rows(f"SELECT t::text FROM {table} t")) for table in tables])  # noqa: S608
    captured = capfd.readouterr()
    for where in (
        view,
        stored,
        caplog.text,
        captured.out,
        captured.err,
        (await api.client.get("/metrics")).text,
    ):
        assert secrets["number"] not in where
        assert secrets["cvc"] not in where.replace(secrets["number"], "")
