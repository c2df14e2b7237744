"""Files with secrets: for their owner alone, and whole or not there at all."""

import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NOT_FOR_OWNER = 0o077
_NOT_FOR_ROOT = (
    0o037  # what root owns a group may read, as secrets are mounted; PostgreSQL's rule for its TLS key
)


class KeyFileError(Exception):
    """A key file is missing, unreadable or not what it should be; the message is one line and names it."""


def write_secret(path: Path, content: dict[str, Any]) -> None:
    """Write a new file as JSON, or raise ``KeyFileError``; keys that are there are never replaced."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A link is made in one step, which fails where there is a file.
        _write(path, content, path.hardlink_to)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already; keys are never replaced by new ones") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def replace_secret(path: Path, content: dict[str, Any]) -> None:
    """Replace a file in one step, by one of the same owner and mode, or raise ``KeyFileError``."""
    new = path.with_name(f".{path.name}.new")
    try:
        was = path.stat()
        new.unlink(missing_ok=True)
        _write(path, content, new.hardlink_to)
        os.chown(new, was.st_uid, was.st_gid)
        new.chmod(stat.S_IMODE(was.st_mode))
        new.replace(path)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, or raise ``KeyFileError``."""
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise KeyFileError(f"{path} is no JSON") from None
    if not isinstance(content, dict):
        raise KeyFileError(f"{path} is no JSON object")
    return content


def read_secret(path: Path) -> dict[str, Any]:
    """Read a JSON object that others can neither read nor change, or raise ``KeyFileError``.

    Modes decide, not what this process may do, so root is no exception.
    """
    try:
        file, folders = path.stat(), {path.absolute().parent, path.resolve().parent}
        modes = {folder: folder.stat().st_mode for folder in folders}
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    if file.st_uid not in {os.geteuid(), 0}:
        raise KeyFileError(f"{path} belongs to another user: run chown {os.geteuid()} {path}")
    if file.st_mode & (_NOT_FOR_OWNER if file.st_uid else _NOT_FOR_ROOT):
        mode = stat.S_IMODE(file.st_mode)
        raise KeyFileError(f"{path} can be read or changed by others (mode {mode:03o}): run chmod 600 {path}")
    for folder, mode in modes.items():
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            raise KeyFileError(f"{path} can be replaced by others: run chmod go-w {folder}")
    return read_json(path)


def _write(path: Path, content: dict[str, Any], take: Callable[[str], None]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:  # mode 600
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
        take(file.name)
