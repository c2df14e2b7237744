"""``giftcert trace``: one life from the topics to the stream, with nothing secret or personal in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from command_runs import RunCommand

from giftcert.clock import utc_now
from giftcert.dispatch.main import serve
from giftcert.dispatch.positions import find_positions
from giftcert.domain.certificate.messages import Block
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.database import Database
from tests.integration.kafka_ingest.ingest_store import NOON, Store, add_certificates, reserve_all
from tests.integration.kafka_ingest.leading import Leading
from tests.processes import free_port
from tests.unit.contracts.topic_records import client, goods_line, order, payment
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[Database]:
    database = Database(fresh_database_url)
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database, tmp_path: Path) -> Store:
    keyring = Keyring.create(tmp_path / "ingest-keyring.json")
    return Store(database, keyring, await add_certificates(database, 1))


@pytest.fixture
async def stream(kafka: str) -> str:
    """A stream topic of the test's own."""
    topic = f"stream-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)])
    await admin.close()
    return topic


async def sell(store: Store, **recipient: Any) -> None:
    """A client, an order and its payment come, and the certificate is led through them."""
    reservations = {store.certificates[0]: str(uuid4())}
    await reserve_all(store.database, reservations)
    line = store.line(reservationId=reservations[store.certificates[0]], **recipient)
    await store.commit(
        store.client_record(client()),
        store.order_record(order(lines=[goods_line(), line])),
        store.payment_record(payment()),
    )
    await Leading(store.database, store.keyring).lead()


async def publish(store: Store, settings: dict[str, Any]) -> None:
    """Let dispatch put everything on the stream."""
    task = asyncio.create_task(serve(Settings(**settings, _env_file=None)))

    async def all_are_published() -> bool:
        return await store.value("SELECT count(*) FROM outbox") == 0

    try:
        await until(all_are_published)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def traced(giftcert: RunCommand, certificate_id: str, **settings: str) -> dict[str, Any]:
    done = await asyncio.to_thread(giftcert, "trace", certificate_id, "--json", **settings)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_a_sale_is_followed_from_the_topics_to_the_stream(
    giftcert: RunCommand, store: Store, fresh_database_url: str, kafka: str, stream: str
) -> None:
    await sell(store)
    settings = {
        "database_url": fresh_database_url,
        "kafka_bootstrap_servers": kafka,
        "topic_stream": stream,
    }
    await publish(store, settings)
    answer = await traced(giftcert, store.certificates[0], **settings)
    steps = answer["timeline"]
    assert answer["certificate"]["status"] == "issued"
    assert answer["streamNote"] is None
    assert [one["at"] for one in steps] == sorted(one["at"] for one in steps)
    inputs = [one for one in steps if one["step"] == "input"]
    assert [(one["topic"], one["partition"], one["offset"], one["eventId"]) for one in inputs] == [
        ("All_SalesOrder", 0, 0, "so-1"),
        ("All_Payments", 0, 0, "pay-1"),
    ]
    events = [one for one in steps if one["step"] == "event"]
    assert [(one["sequence"], one["eventType"], one["status"], one["balance"]) for one in events] == [
        (1, "issue.ordered", "ordered", 0),
        (2, "issue.completed", "issued", 500_000),
        (3, "notification.requested", "issued", 500_000),
    ]
    places = [one["stream"] for one in events]
    assert len({place["partition"] for place in places}) == 1
    assert [place["offset"] for place in places] == sorted(place["offset"] for place in places)


async def test_people_get_a_line_for_each_step_and_no_secret_or_personal_data(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    await sell(store, recipient={"ref": "R-5", "channel": "email"})
    done = await asyncio.to_thread(giftcert, "trace", store.certificates[0], database_url=fresh_database_url)
    assert "All_SalesOrder/0/0, event so-1" in done.stdout
    assert "2 issue.completed" in done.stdout
    assert "not published yet" in done.stdout
    answer = await traced(giftcert, store.certificates[0], database_url=fresh_database_url)
    for personal in ("R-5", "C-77", "ru-RU", "sealed", "cvc"):
        assert personal not in json.dumps(answer)


async def test_without_kafka_it_says_why_no_position_is_known(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    await sell(store)
    await store.rows_changed("DELETE FROM outbox")
    answer = await traced(
        giftcert,
        store.certificates[0],
        database_url=fresh_database_url,
        kafka_bootstrap_servers=f"127.0.0.1:{free_port()}",
    )
    assert "Kafka is away" in answer["streamNote"]
    events = [one for one in answer["timeline"] if one["step"] == "event"]
    assert [(one["stream"], one["published"]) for one in events] == [(None, True)] * 3


async def test_what_was_received_and_not_decided_stands_last(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    answer = await traced(giftcert, store.certificates[0], database_url=fresh_database_url)
    assert [one["step"] for one in answer["timeline"]] == ["input", "pending"]
    assert (answer["timeline"][1]["kind"], answer["timeline"][1]["signalledAt"]) == ("order_created", None)


async def test_a_payment_that_spends_the_certificate_is_among_its_inputs(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    """Its order holds no certificate, so nothing else is kept of it."""
    spends = {"tender": "giftCertificate", "certificateId": store.certificates[0], "orderId": "POS-1"}
    await store.commit(store.payment_record(payment(**spends)))
    await Leading(store.database, store.keyring).lead()
    answer = await traced(giftcert, store.certificates[0], database_url=fresh_database_url)
    first, *events = answer["timeline"]
    assert (first["step"], first["eventType"], first["eventId"]) == ("input", "payment.captured", "pay-1")
    assert (first["topic"], first["offset"], first["orderId"]) == ("All_Payments", None, "POS-1")
    assert {one["cause"]["eventId"] for one in events} == {"pay-1"}


async def test_who_decided_what_and_why_and_what_was_refused_is_said(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    [certificate] = store.certificates
    await sell(store)
    lifecycle = Leading(store.database, store.keyring).lifecycle
    await lifecycle.act(certificate, Block(reason="the letter is lost", by="anna"), NOON)
    spends = {"tender": "giftCertificate", "certificateId": certificate, "orderId": "POS-1"}
    await store.commit(store.payment_record(payment(**spends)))
    await Leading(store.database, store.keyring).lead()
    steps = (await traced(giftcert, certificate, database_url=fresh_database_url))["timeline"]
    [blocked] = [one for one in steps if one.get("eventType") == "audit.blocked"]
    assert (blocked["by"], blocked["reason"]) == ("anna", "the letter is lost")
    [refused] = [one for one in steps if one.get("refused")]
    assert (refused["eventType"], refused["reason"], refused["amount"]) == (
        "redemption.rejected",
        "holdRequired",
        {"amount": 750_000, "currency": "RUB"},
    )
    done = await asyncio.to_thread(giftcert, "trace", certificate, database_url=fresh_database_url)
    assert "by anna, the letter is lost; then blocked" in done.stdout
    assert "refused  " in done.stdout
    assert "7,500.00 RUB, holdRequired; then blocked" in done.stdout


async def test_a_record_in_quarantine_that_names_the_certificate_is_among_the_steps(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    await store.commit(store.order_record(order(channel="nowhere", lines=[store.line()])))
    [step] = (await traced(giftcert, store.certificates[0], database_url=fresh_database_url))["timeline"]
    assert (step["step"], step["reason"], step["offset"]) == ("quarantined", "unknownChannel", 0)


async def test_what_could_not_be_decided_is_said(
    giftcert: RunCommand, store: Store, fresh_database_url: str
) -> None:
    await sell(store)
    await store.rows_changed(
        """UPDATE certificates SET parked = jsonb_build_array(jsonb_build_object('kind', 'line', 'key', 'IM-1001',
            'line_key', 1, 'revision', 2, 'build', 'b', 'error', 'KeyError', 'since', now()))"""
    )
    answer = await traced(giftcert, store.certificates[0], database_url=fresh_database_url)
    assert {name: answer["timeline"][-1][name] for name in ("step", "kind", "error")} == {
        "step": "parked",
        "kind": "line",
        "error": "KeyError",
    }


@pytest.mark.parametrize("unknown", ["0198c0de-0000-7000-8000-00000000dead", "abc"])
async def test_an_unknown_certificate_is_one_clear_line(
    giftcert: RunCommand, fresh_database_url: str, unknown: str
) -> None:
    done = await asyncio.to_thread(giftcert, "trace", unknown, database_url=fresh_database_url)
    assert (done.returncode, done.stderr) == (1, f"giftcert: there is no certificate {unknown}\n")


async def test_the_first_place_of_an_event_is_found_among_those_of_others(kafka: str, stream: str) -> None:
    now = utc_now()
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for nth in range(200):
            await producer.send(stream, b'{"eventId":"other-%d"}' % nth, b"another-%d" % nth)
        await producer.send(stream, b'{"eventId":"mine"}', b"certificate")
        await producer.flush()
        first = await producer.send_and_wait(stream, b'{"eventId":"wanted"}', b"certificate")
        await producer.send_and_wait(stream, b'{"eventId":"wanted"}', b"certificate")
    sought = {"wanted": now, "never": now}
    found = await find_positions({"bootstrap_servers": kafka}, stream, "certificate", sought)
    assert {name: (one.partition, one.offset) for name, one in found.items() if name != "mine"} == {
        "wanted": (first.partition, first.offset)
    }
