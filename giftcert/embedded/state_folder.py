"""The one folder that holds all state of an embedded stack; it may be deleted when no stack runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StackError(Exception):
    """The stack cannot start or go on; the message is one line that names the setting to change."""


class StateFolder:
    """Where each part keeps its own: logs, records of running processes, keys, and the addresses.

    ``addresses`` are those of the running stack, password included, for commands run beside it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.keys = self.root / "keys"
        self.addresses = self.root / "addresses.json"

    def create(self) -> None:
        """Make the folder, for its owner alone."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for folder in (self.logs, self.run, self.keys):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise StackError(f"GIFTCERT_STATE_DIR: {self.root} cannot be made: {error.strerror}") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one stack; the system lets go when the process ends, however it does."""
        with (self.root / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise StackError(
                    f"a stack is running on {self.root} already (process {holder}): "
                    "end it, or set GIFTCERT_STATE_DIR to another folder"
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield
