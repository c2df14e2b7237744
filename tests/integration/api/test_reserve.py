import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from giftcert.contracts.stream import stamp
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.messages import Reserve
from giftcert.domain.policy import Policy, Terms
from giftcert.settings import Settings
from giftcert.storage import claims
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.claims import LOCK_WAIT
from giftcert.storage.database import Connection
from tests.integration.api.api_client import FIXED, OPEN, Api, Stock, open_api, settings_for

pytestmark = pytest.mark.integration


async def test_a_channel_gets_a_certificate_while_temporal_and_kafka_are_away(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    reply = await api.next()
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert body["channel"] == "im"
    assert body["nominal"] == {"amount": 500_000, "currency": "RUB"}
    assert body["maskedNumber"].startswith("*" * 12)
    [row] = await stock.rows("SELECT * FROM certificates")
    assert str(row["certificate_id"]) == body["certificateId"]
    assert str(row["reservation_id"]) == body["reservationId"]
    assert (row["status"], row["sequence"], row["version"]) == ("reserved", 1, 1)
    assert body["maskedNumber"][-4:] == row["last_four"]
    [reservation] = await stock.rows("SELECT * FROM reservations")
    assert (reservation["reserved_by"], reservation["resolved_at"]) == ("shop", None)


async def test_the_claim_tells_and_changes_exactly_what_the_domain_decides(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    [row] = await stock.rows("SELECT certificate_id::text AS id FROM certificates")
    async with stock.database.connection() as connection:
        before = await CertificateRepository(connection).load(row["id"])
    body = (await api.next()).json()
    async with stock.database.connection() as connection:
        after = await CertificateRepository(connection).load(row["id"])
    reservation = after.state.reservation
    assert reservation is not None
    assert reservation.reserved_at is not None
    message = Reserve(channel="im", reservation_id=body["reservationId"])
    now = reservation.reserved_at
    decision = decide(before.state, message, now, Terms(FIXED, Policy()), lambda: "unused")
    [expected] = stamp(before.state, decision.recorded, at=now, channel="im")
    assert body["reservedUntil"] == expected.payload["reservedUntil"]
    await assert_told(stock, row["id"], expected)


async def assert_told(stock: Stock, certificate_id: str, expected: Any) -> None:
    published = (await stock.events(certificate_id))[-1]
    for name in ("event_type", "occurred_at", "channel", "sale_channel", "status", "refund_state", "payload"):
        assert published[name] == getattr(expected, name), name
    for name in ("nominal", "currency", "balance", "held"):
        assert published[name] == getattr(expected, name), name
    assert published["product_id"] == expected.product


async def test_no_certificate_is_given_twice_to_many_callers_at_once(
    settings: Settings, stock: Stock
) -> None:
    await stock.fill(200)
    given: list[str] = []

    async def buy(api: Api) -> None:
        while (reply := await api.next()).status_code == 200:
            given.append(reply.json()["certificateId"])
        assert reply.json()["type"].endswith("pool-exhausted")

    async with open_api(settings.model_copy(update={"reservation_share": 1.0})) as api:
        await asyncio.gather(*(buy(api) for _ in range(32)))
    assert len(given) == len(set(given)) == 200
    [row] = await stock.rows("SELECT count(*), count(DISTINCT certificate_id) AS different FROM reservations")
    assert row == {"count": 200, "different": 200}
    sequences = await stock.rows("SELECT DISTINCT sequence FROM events WHERE certificate_id IS NOT NULL")
    assert sequences == [{"sequence": 1}]


async def test_never_reserved_certificates_go_first_then_the_longest_released(api: Api, stock: Stock) -> None:
    await stock.fill(3)
    rows = await stock.rows("SELECT certificate_id::text AS id FROM certificates ORDER BY certificate_id")
    lately, long_ago, never = (row["id"] for row in rows)
    now = datetime.now(UTC)
    released = "UPDATE certificates SET available_since = :at WHERE certificate_id = :id"
    await stock.run(released, id=lately, at=now - timedelta(hours=1))
    await stock.run(released, id=long_ago, at=now - timedelta(days=9))
    given = [(await api.next()).json()["certificateId"] for _ in range(3)]
    assert given == [never, long_ago, lately]


async def test_a_blocked_certificate_is_never_given(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    await stock.run("UPDATE certificates SET blocked = true")
    assert (await api.next()).status_code == 409


async def test_a_nearly_empty_pool_waits_for_a_claim_that_may_be_undone(
    api: Api, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "LOCK_WAIT", "1min")  # a busy machine may take long to undo it
    await stock.fill(1)
    async with stock.database.transaction() as other:
        await lock_all(other)
        claim = asyncio.create_task(api.next())
        await someone_waits_for_a_lock(stock)
    assert (await claim).status_code == 200


async def lock_all(connection: Connection) -> None:
    await connection.execute("SELECT 1 FROM certificates FOR UPDATE")


async def someone_waits_for_a_lock(stock: Stock) -> None:
    while not await stock.rows(  # noqa: ASYNC110 - another session's state has no event
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        await asyncio.sleep(0)


async def test_a_claim_on_a_locked_pool_gives_up_after_the_lock_wait(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    async with stock.database.transaction() as other:
        await lock_all(other)
        before = asyncio.get_running_loop().time()
        reply = await api.next()
        waited = asyncio.get_running_loop().time() - before
    assert reply.status_code == 409
    assert waited >= int(LOCK_WAIT.removesuffix("ms")) / 1000


async def test_several_certificates_are_given_all_or_none(api: Api, stock: Stock) -> None:
    await stock.fill(5)
    assert (await api.reserve(quantity=6)).status_code == 409
    assert await stock.rows("SELECT 1 FROM reservations") == []
    reply = await api.reserve(quantity=5)
    assert reply.status_code == 201
    claims = reply.json()
    assert len({claim["certificateId"] for claim in claims}) == 5
    assert len({claim["reservationId"] for claim in claims}) == 5
    matching = await stock.rows(
        "SELECT r.reservation_id FROM reservations r JOIN certificates USING (certificate_id, reservation_id)"
    )
    assert len(matching) == 5


@pytest.mark.parametrize("quantity", [0, 101, 1.5, "three", None])
async def test_a_quantity_out_of_bounds_is_refused_by_its_name(api: Api, quantity: Any) -> None:
    reply = await api.reserve(quantity=quantity)
    assert reply.status_code == 422
    assert [error["field"] for error in reply.json()["errors"]] == ["quantity"]


async def test_an_open_value_certificate_gets_the_nominal_that_is_asked_for(api: Api, stock: Stock) -> None:
    await stock.fill(2, OPEN)
    chosen = (await api.reserve(product="GC-OPEN", nominal=70_000)).json()[0]
    assert chosen["nominal"] == {"amount": 70_000, "currency": "RUB"}
    assert (await stock.events(chosen["certificateId"]))[0]["nominal"] == 70_000
    later = (await api.next(product="GC-OPEN")).json()
    assert later["nominal"] is None
    assert (await stock.events(later["certificateId"]))[0]["nominal"] is None


@pytest.mark.parametrize(
    ("product", "nominal"), [("GC-OPEN", 49_999), ("GC-OPEN", 1_000_001), ("GC-5000", 400_000)]
)
async def test_a_nominal_out_of_bounds_is_refused(api: Api, product: str, nominal: int) -> None:
    reply = await api.reserve(product=product, nominal=nominal)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "nominal"
    assert str(nominal) not in reply.text


async def test_a_fixed_product_is_the_default_where_none_is_named(api: Api, stock: Stock) -> None:
    await stock.fill(1)
    reply = await api.client.get("/certificates/next", params={"channel": "im"}, headers=api.headers())
    assert reply.json()["product"] == "GC-5000"


@pytest.mark.parametrize(
    ("query", "field"), [({"channel": "fax"}, "channel"), ({"product": "GC-NONE"}, "product")]
)
async def test_an_unknown_channel_or_product_is_named(api: Api, query: dict[str, str], field: str) -> None:
    reply = await api.next(**query)
    assert reply.status_code == 422
    assert [error["field"] for error in reply.json()["errors"]] == [field]


async def test_a_token_for_another_channel_is_refused(api: Api) -> None:
    headers = api.headers(channels=["pos"])
    reply = await api.client.get("/certificates/next", params={"channel": "im"}, headers=headers)
    assert reply.status_code == 403
    assert reply.json()["type"].endswith("channel-not-allowed")


async def test_a_caller_at_its_cap_is_told_to_come_later(settings: Settings, stock: Stock) -> None:
    await stock.fill(5)
    capped = settings.model_copy(update={"reservation_cap": 3})
    async with open_api(capped) as api:
        first = await api.reserve(quantity=3, key="one")
        reply = await api.next()
        again = await api.reserve(quantity=3, key="one")
    assert first.status_code == 201
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) > 0
    assert again.status_code == 201


async def test_no_caller_gets_more_than_its_share_of_a_pool(settings: Settings, stock: Stock) -> None:
    await stock.fill(300)
    await stock.fill(120, OPEN)
    shared = settings.model_copy(update={"reservation_share": 0.4})
    async with open_api(shared) as api:
        first = [await api.reserve(quantity=60), await api.reserve(quantity=60)]
        refused = await api.next()
        smaller_pool = await api.reserve(quantity=100, product="GC-OPEN", nominal=50_000)
        other = await api.client.get(
            "/certificates/next", params={"channel": "im"}, headers=api.headers(subject="another shop")
        )
    assert [reply.status_code for reply in first] == [201, 201]
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-reservations")
    assert smaller_pool.status_code == 201  # one call's quantity is always allowed
    assert other.status_code == 200


async def test_a_key_can_be_made_obligatory(settings: Settings, stock: Stock) -> None:
    await stock.fill(1)
    async with open_api(settings.model_copy(update={"require_idempotency_key": True})) as api:
        assert (await api.next()).json()["type"].endswith("idempotency-key-required")
        assert (await api.next(key="k")).status_code == 200


async def test_the_api_starts_and_says_503_while_the_database_is_away(settings: Settings) -> None:
    away = settings_for("postgresql://nobody@127.0.0.1:1/none", settings.state_dir)
    async with open_api(away) as api:
        reply = await api.next()
        ready = await api.client.get("/readyz")
        alive = await api.client.get("/livez")
    assert reply.status_code == 503
    assert reply.json()["part"] == "database"
    assert int(reply.headers["retry-after"]) > 0
    assert ready.status_code == 503
    assert ready.json()["parts"] == {"database": "away", "temporal": "away", "kafka": "not needed here"}
    assert "it does not answer within 1 s" in ready.json()["reasons"]["PostgreSQL"]
    assert alive.status_code == 200
