"""The topics that the service reads, as their owners make them."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic


def make(bootstrap: str) -> None:
    asyncio.run(_make(bootstrap))


async def _make(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics(
        [NewTopic(f"All_{name}", 2, 1) for name in ("SalesOrder", "Payments", "Clients")]
    )
    await admin.close()
