"""What the Dockerfile says: files that it copies into the image, and names of packages in a list."""

import re
from pathlib import Path

_COPY = re.compile(r"^COPY (?!--from)(\S+) \S+$", re.MULTILINE)


def copied(dockerfile: Path) -> list[str]:
    """Return the files and folders that the last stage copies from the repository."""
    _, _, last = dockerfile.read_text("utf-8").rpartition("\nFROM ")
    return _COPY.findall(last)


def names_of(requirements: Path) -> set[str]:
    """Return the names of the packages that a list wants."""
    lines = requirements.read_text("utf-8").splitlines()
    found = (re.match(r"[\w.-]+", line) for line in lines if not line.startswith(("#", "-")))
    return {one[0].lower() for one in found if one}
