"""A supervisor to be killed: starts a stack with one part that ignores SIGTERM, prints all process ids.

Run as ``python supervisor.py STATE_FOLDER [postgres]``.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from giftcert.embedded.keeper import Keeper, Program
from giftcert.embedded.stack import EmbeddedStack
from giftcert.settings import Settings

DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
)


async def main(state: Path, parts: list[str]) -> None:
    settings = Settings(state_dir=state)
    log = state / "logs" / "deaf.log"

    async def is_deaf() -> bool:
        return "deaf" in log.read_text()

    stack = EmbeddedStack(settings, parts=parts, any_free_port=True, durable=False)
    async with stack:
        program = Program(name="deaf", command=(sys.executable, "-c", DEAF), is_ready=is_deaf)
        keeper = Keeper(program, stack.state)
        await keeper.make_ready()
        records = [json.loads(path.read_text()) for path in (state / "run").glob("*.json")]
        print(json.dumps({record["part"]: record["pid"] for record in records}), flush=True)
        await asyncio.Event().wait()


signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background may ignore it
asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
