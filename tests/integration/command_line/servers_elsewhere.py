"""The service on servers that run elsewhere: topics that their owners made, tokens of the company's issuer, a sale."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from stacks import Stack

from giftcert.clock import utc_now
from giftcert.security.tokens import Caller, issue_token
from simulators.addresses import Addresses
from simulators.channel import open_channel
from simulators.pos import sell_certificate
from tests.waiting import until

ISSUER = "https://login.example.com/"


async def topics_of_others(kafka: str) -> dict[str, str]:
    """Make topics as their owners would; return the settings that name them, and a namespace beside them."""
    run = uuid4().hex[:8]
    topics = {f"topic_{name}": f"{name}-{run}" for name in ("orders", "payments", "clients", "stream")}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1) for name in topics.values()])
    await admin.close()
    return {"temporal_namespace": f"up-{run}", "ingest_group": f"ingest-{run}", **topics}


async def sell_one(
    stack: Stack,
    kafka: str,
    settings: Mapping[str, str],
    own_keys: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    order_id: str = "POS-1",
) -> None:
    """Sell a certificate at a till whose messages reach Kafka at this address, and wait until it is issued."""
    token = issue_token(
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
        bootstrap_servers=kafka,
        orders_topic=settings["topic_orders"],
        payments_topic=settings["topic_payments"],
        stream_topic=settings["topic_stream"],
    )
    async with open_channel(addresses, "pos") as till:
        order = await sell_certificate(till, "GC-5000", order_id)
        sold = order.certificate_lines[0].certificate_id

        async def is_issued() -> bool:
            return (await till.service.certificate(sold)).status == "issued"

        await until(is_issued)
