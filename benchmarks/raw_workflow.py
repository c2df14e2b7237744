"""The floor of a sale: a workflow with the same three signals and no activity."""

import asyncio
import sys
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bench-raw"


@workflow.defn(name="RawSale")
class RawSale:
    """Ends after three signals."""

    def __init__(self) -> None:
        self.signals = 0

    @workflow.run
    async def run(self, _certificate_id: str) -> int:
        """Return how many signals came."""
        await workflow.wait_condition(lambda: self.signals == 3, timeout=timedelta(days=1))
        return self.signals

    @workflow.signal
    def tell(self, _message: dict[str, Any]) -> None:
        """Count one message."""
        self.signals += 1


async def _serve(address: str) -> None:
    client = await Client.connect(address)
    async with Worker(client, task_queue=QUEUE, workflows=[RawSale]):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
