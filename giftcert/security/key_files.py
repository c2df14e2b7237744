"""Files with secrets: readable by their owner alone, and whole or not there at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


class KeyFileError(Exception):
    """A key file is missing, unreadable or not what it should be; the message is one line and names it."""


def write_secret(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with file mode 600 from the first byte on.

    Raises:
        KeyFileError: the file is there already, or it cannot be written.
    """
    partial: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
        partial = Path(name)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(partial)  # refuses, as one step, to replace keys that are there
    except FileExistsError:
        raise KeyFileError(f"{path} exists already; keys are never replaced by new ones") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read a key file.

    Raises:
        KeyFileError: it cannot be read or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise KeyFileError(f"{path} is no JSON") from None
    if not isinstance(content, dict):
        raise KeyFileError(f"{path} is no JSON object")
    return content
