"""Commands that run to their end while the stack starts."""

import asyncio
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

from giftcert.embedded.parent import signal_when_parent_dies


async def complete(*command: str, user: str | None = None, folder: Path | None = None) -> tuple[int, str]:
    """Run a command and return its exit code and what it said; it is killed if we are cancelled."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
        cwd=folder,
        preexec_fn=signal_when_parent_dies(signal.SIGKILL),
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace").strip()
