"""Folders for the state of servers and stacks, outside that of the run, which pytest closes to PostgreSQL's user.

In memory where there is room: three hundred files are made and removed with each test's database, which took some file
systems most of the time of a test.
"""

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - each folder in it is made under a name of its own
ROOM = 2 << 30
"""In bytes; the state of all servers and stacks of a run stays under half of it."""


def new_state_folder(name: str) -> Path:
    """Make an empty folder that belongs to whoever asks."""
    return Path(tempfile.mkdtemp(prefix=f"giftcert-{name}-", dir=MEMORY if _has_room() else None))


def _has_room() -> bool:
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
