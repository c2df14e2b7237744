"""The stream cut off or made anew, and Temporal lost: the database brings them back."""

from uuid import uuid4

import pytest
from temporalio.client import Client

from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.namespace import ensure_namespace
from tests.integration.recovery.trading import Service, drop_topic, make_topics

pytestmark = pytest.mark.integration


@pytest.mark.timeout(300)
async def test_a_stream_and_runs_that_were_lost_are_made_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("giftcert.dispatch.stream_guard.COMPARED_EVERY_SECONDS", 0.5)
    sold = [await service.sell() for _ in range(3)]
    await service.is_all_published()
    settings, before = service.settings, await service.certificates()
    bootstrap = settings.kafka_bootstrap_servers or ""
    await drop_topic(bootstrap, settings.topic_stream)
    await make_topics(bootstrap, settings.topic_stream)
    await service.stands_still("streamReplaced")

    namespace = f"recovered-{uuid4().hex[:8]}"
    client = await Client.connect(
        settings.temporal_address or "", namespace=namespace, data_converter=DATA_CONVERTER
    )
    await ensure_namespace(client)
    done = await service.command("recover", TEMPORAL_NAMESPACE=namespace)
    assert "that the stream lacks put into the outbox again" in done.stderr
    assert "repaired" not in done.stderr
    assert "workflows woken, or started where none ran: 3" in done.stdout, done.stdout + done.stderr
    await service.is_all_published()
    assert {
        one: (row, before[one]) for one, row in (await service.certificates()).items() if row != before[one]
    } == {}

    await service.is_in_service()
    assert await service.sell() not in sold
    checked = await service.command("recover")
    assert checked.returncode == 0, checked.stdout + checked.stderr
