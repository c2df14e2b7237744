"""Files with secrets: readable by their owner alone, and whole or not there at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


class KeyFileError(Exception):
    """A key file is missing, unreadable or not what it should be; the message is one line and names it."""


def write_secret(path: Path, content: dict[str, Any]) -> None:
    """Write a new file as JSON, or raise ``KeyFileError``; keys that are there are never replaced."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:  # mode 600
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
            path.hardlink_to(file.name)  # one step, which fails where there is a file
    except FileExistsError:
        raise KeyFileError(f"{path} exists already; keys are never replaced by new ones") from None
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
