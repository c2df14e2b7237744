"""The servers alone, of one measurement's own: durable PostgreSQL, the real Kafka."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def servers(folder: str, *parts: str) -> Iterator[dict[str, Any]]:
    """Start ``postgres``, ``kafka`` or both with their state in a folder; yield their addresses."""
    process = subprocess.Popen(
        [sys.executable, "-m", "giftcert.embedded", *parts, "--owner", str(os.getpid())],
        env={**os.environ, "GIFTCERT_STATE_DIR": f"{folder}/state"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)
