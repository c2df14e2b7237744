import logging
from uuid import uuid4

import httpx
import pytest
from stdnum import luhn

from giftcert.domain.products import Product
from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api
from tests.integration.api.sales import Till, captured, ordered, orders_of, refunded

pytestmark = pytest.mark.integration
NOTIFICATION = "01936f93-4f50-7e6d-8b5c-5c6d7e8f9012"


async def disclose(api: Api, certificate_id: str, role: str = "crm") -> httpx.Response:
    why = {"purpose": "notification", "notificationId": NOTIFICATION}
    return await api.as_role(role, f"/certificates/{certificate_id}/cvc", **why)


@pytest.mark.parametrize("status", ["issued", "partiallyRedeemed"])
async def test_crm_gets_number_and_cvc_of_a_spendable_certificate(shop: Till, status: str) -> None:
    certificate_id = await shop.certificate_in(status)
    reply = await disclose(shop.api, certificate_id)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["sealed-secrets-from"] == "storage"  # Temporal is away
    body = reply.json()
    assert luhn.is_valid(body["number"])
    assert body["number"].endswith((await shop.row(certificate_id))["last_four"])
    assert len(body["cvc"]) == 6
    assert body["cvc"].isdigit()


async def test_a_disclosure_is_recorded_and_told(shop: Till) -> None:
    certificate_id = await shop.certificate_in("issued")
    await disclose(shop.api, certificate_id)
    [record] = await shop.stock.rows("SELECT * FROM disclosures")
    event = (await shop.stock.events(certificate_id))[-1]
    assert (record["disclosed_to"], record["purpose"], record["notification_id"]) == (
        "crm",
        "notification",
        NOTIFICATION,
    )
    assert (event["event_type"], event["sequence"]) == ("audit.cvcDisclosed", record["sequence"])
    assert event["payload"] == {
        "disclosedTo": "crm",
        "purpose": "notification",
        "notificationId": NOTIFICATION,
    }
    assert event["status"] == "issued"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("available", "not-active"),
        ("reserved", "not-issued"),
        ("ordered", "not-issued"),
        ("redeemed", "not-active"),
        ("refunded", "not-active"),
        ("expired", "not-active"),
        ("retired", "not-active"),
        ("blocked", "not-issued"),
    ],
)
async def test_a_cvc_is_refused_with_the_status_and_the_refusal_told(
    shop: Till, status: str, problem: str
) -> None:
    certificate_id = await shop.certificate_in(status)
    reply = await disclose(shop.api, certificate_id)
    assert reply.status_code == 409
    assert reply.json()["type"].endswith(problem)
    assert reply.json()["certificateStatus"] == status
    assert await shop.stock.rows("SELECT 1 FROM disclosures") == []
    event = (await shop.stock.events(certificate_id))[-1]
    assert (event["event_type"], event["payload"]["reason"]) == ("audit.cvcRefused", problem)


async def test_a_cvc_is_refused_while_a_refund_is_open(shop: Till) -> None:
    certificate_id = await shop.certificate_in("partiallyRedeemed")
    await shop.orders.tell(refunded((await shop.row(certificate_id))["order_id"]))
    reply = await disclose(shop.api, certificate_id)
    assert reply.status_code == 409
    assert reply.json()["type"].endswith("not-issued")
    assert reply.json()["refundState"] == "pendingDetails"


@pytest.mark.parametrize("role", ["channel", "support", "ops"])
async def test_only_crm_may_ask_for_a_cvc(api: Api, role: str) -> None:
    reply = await disclose(api, str(uuid4()), role)
    assert reply.status_code == 403
    assert reply.json()["type"].endswith("role-not-allowed")


async def test_a_purpose_must_be_named_and_known(api: Api) -> None:
    for query in ({}, {"purpose": "curiosity"}):
        reply = await api.as_role("crm", f"/certificates/{uuid4()}/cvc", **query)
        assert reply.status_code == 422
        assert reply.json()["errors"][0]["field"] == "purpose"
        assert "curiosity" not in reply.text


async def test_a_notification_is_one_of_ours(api: Api) -> None:
    query = {"purpose": "notification", "notificationId": "N-1"}
    reply = await api.as_role("crm", f"/certificates/{uuid4()}/cvc", **query)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "notificationId"


async def test_an_unknown_certificate_has_no_cvc(api: Api) -> None:
    assert (await disclose(api, str(uuid4()))).status_code == 404


async def test_asking_too_often_for_one_certificate_is_refused(shop: Till, settings: Settings) -> None:
    certificate_id = await shop.certificate_in("issued")
    async with open_api(settings.model_copy(update={"disclosures_per_certificate": "2/minute"})) as api:
        replies = [await disclose(api, certificate_id) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60
    assert len(await shop.stock.rows("SELECT 1 FROM disclosures")) == 2


async def test_nobody_but_the_reply_learns_number_and_cvc(
    api: Api, stock: Stock, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    # Eight digits do not turn up among random ones by chance.
    await stock.fill(1, Product("GC-LONG", "RUB", nominal=500_000, cvc_length=8))
    claim = (await api.next(key="k", product="GC-LONG")).json()
    await orders_of(stock).tell(ordered("IM-1", claim), captured("IM-1"))
    secrets = (await disclose(api, claim["certificateId"])).json()
    view = (await api.as_role("support", f"/certificates/{claim['certificateId']}")).text
    tables = ("certificates", "events", "idempotency_keys", "disclosures", "reservations")
    stored = "".join([str(await stock.rows(f"SELECT t::text FROM {table} t")) for table in tables])  # noqa: S608
    written = capfd.readouterr()
    for where in (
        view,
        stored,
        caplog.text,
        written.out,
        written.err,
        (await api.client.get("/metrics")).text,
    ):
        assert secrets["number"] not in where
        assert secrets["cvc"] not in where.replace(secrets["number"], "")
