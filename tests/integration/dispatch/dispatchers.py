"""Dispatchers as processes of their own, to be stopped and killed."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

PROGRAM = """
import asyncio
from giftcert.dispatch.main import serve
from giftcert.settings import Settings
asyncio.run(serve(Settings()))
"""
StartDispatcher = Callable[[], Awaitable[asyncio.subprocess.Process]]


async def spawn(database_url: str, bootstrap: str, topic: str) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "GIFTCERT_DATABASE_URL": database_url,
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "GIFTCERT_TOPIC_STREAM": topic,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=environment, stderr=asyncio.subprocess.DEVNULL
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a dispatcher that still runs, even one that is stopped."""
    if process.returncode is None:
        process.kill()
    await process.wait()
