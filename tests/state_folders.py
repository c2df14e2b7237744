"""Folders for the state of servers and stacks, outside that of the run, which pytest closes to PostgreSQL's user.

In memory where there is room: three hundred files are made and removed with each test's database, which took some file
systems most of the time of a test.
"""

import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "TEST_RUN_STATE"
MEMORY = Path("/dev/shm")  # noqa: S108 - each folder in it is made under a name of its own
ROOM = 2 << 30
"""In bytes; the state of all servers and stacks of a run stays under half of it."""


def make_folder_of_run() -> str:
    """Make the folder in which all others of this run are; who starts the run removes it."""
    folder = tempfile.mkdtemp(prefix="giftcert-tests-", dir=MEMORY if _has_room() else None)
    Path(folder).chmod(0o711)  # PostgreSQL may run as another user
    os.environ[VARIABLE] = folder
    return folder


def new_state_folder(name: str) -> Path:
    """Make an empty folder that belongs to whoever asks."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ[VARIABLE]))


def _has_room() -> bool:
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
