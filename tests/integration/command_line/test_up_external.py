"""``giftcert up`` where all servers run elsewhere: it starts the service alone, on keys of your own."""

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from command_runs import RunCommand
from stacks import Stack

from giftcert.clock import utc_now
from giftcert.security.tokens import Caller, issue_token
from simulators.addresses import Addresses
from simulators.channel import open_channel
from simulators.pos import sell_certificate
from tests.integration.command_line.conftest import as_variables
from tests.state_folders import new_state_folder
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
ISSUER = "https://login.example.com/"
SERVERS = {"postgres", "temporal", "kafka"}


@pytest.fixture
async def elsewhere(fresh_database_url: str, temporal_address: str, kafka: str) -> dict[str, str]:
    """Settings of servers that are there already, with topics that their owners have made."""
    run = uuid4().hex[:8]
    topics = {f"topic_{name}": f"{name}-{run}" for name in ("orders", "payments", "clients", "stream")}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1) for name in topics.values()])
    await admin.close()
    return {
        "database_url": fresh_database_url,
        "temporal_address": temporal_address,
        "temporal_namespace": f"up-{run}",
        "kafka_bootstrap_servers": kafka,
        "ingest_group": f"ingest-{run}",
        **topics,
    }


@pytest.fixture
async def stack(
    elsewhere: dict[str, str], own_keys: dict[str, str], clean_environment: dict[str, str]
) -> AsyncIterator[Stack]:
    folder = new_state_folder("test")
    settings = {**elsewhere, **own_keys, "jwt_issuer": ISSUER}
    made = Stack(folder, {**clean_environment, **as_variables(settings), "GIFTCERT_EMBEDDED_POOL": "5"})
    yield made
    made.close()
    shutil.rmtree(folder)


async def test_the_service_alone_sells_on_servers_that_run_elsewhere(
    stack: Stack,
    elsewhere: dict[str, str],
    own_keys: dict[str, str],
    giftcert: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert stack.parts().keys().isdisjoint(SERVERS)
    token = issue_token(  # as the company's issuer does
        Path(own_keys["jwt_jwks"]).with_name("private.json"),
        Caller("tills", frozenset({"channel"}), frozenset({"pos"})),
        issuer=ISSUER,
        audience="giftcert",
        now=utc_now(),
        lifetime=timedelta(hours=1),
    )
    monkeypatch.setenv("SIMULATORS_TOKEN_CHANNEL", token)
    addresses = Addresses(
        api_url=stack.addresses["apiUrl"],
        bootstrap_servers=elsewhere["kafka_bootstrap_servers"],
        orders_topic=elsewhere["topic_orders"],
        payments_topic=elsewhere["topic_payments"],
        stream_topic=elsewhere["topic_stream"],
    )
    async with open_channel(addresses, "pos") as till:
        order = await sell_certificate(till, "GC-5000", "POS-1")
        sold = order.certificate_lines[0].certificate_id

        async def is_issued() -> bool:
            return (await till.service.certificate(sold)).status == "issued"

        await until(is_issued)
    verified = giftcert("verify", **elsewhere, **own_keys)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert stack.end() == 0
