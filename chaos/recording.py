"""A run as a file: what the partners did and were answered, and what the service showed in the end."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chaos.history import Operation
from chaos.oracle import Book, Evidence


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a verdict needs."""

    book: Book
    evidence: Evidence
    operations: list[Operation]


def save(recording: Recording, path: Path) -> None:
    """Write a run as compressed JSON."""
    path.write_bytes(gzip.compress(msgspec.json.encode(recording), mtime=0))


def load(path: Path) -> Recording:
    """Read a run."""
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Recording)
