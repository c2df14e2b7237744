"""Which statements the product sends: recorded while tests run, and found again in the sources.

As a plugin of pytest, ``-p benchmarks.plans.statements``, it appends what the product sends to the file that the
variable ``RECORD_STATEMENTS`` names.
"""

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from inspect import currentframe
from pathlib import Path
from types import FrameType

import asyncpg

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("giftcert", "api", "kafka_ingest", "activities", "workflows", "worker.py")
_PASSED_THROUGH = ("giftcert/storage/repository.py", "giftcert/storage/database.py")
_PLANNED = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
_OF_ASYNCPG = ("current_setting('jit')", "typeinfo_tree")  # how it learns types
_PART = re.compile(r"part_\d+ AS \(")


_NEXT = re.compile(r"; (?=(?:SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM) )")


def normalised(statement: str) -> str:
    """Return a statement on one line, without comments."""
    return " ".join(re.sub(r"--[^\n]*", "", statement).split())


def parts(statement: str) -> Iterator[str]:
    """Yield the statement, or those that ``write_together`` has put together, each with parameters of its own."""
    text = normalised(statement)
    if not text.startswith("WITH part_0 AS ("):
        yield from _NEXT.split(text)
        return
    starts = [found.end() for found in _PART.finditer(text)]
    for start in starts:
        part = text[start : _closing(text, start)].strip()
        names: dict[str, str] = {}
        yield re.sub(r"\$\d+", lambda found, names=names: _renamed(found[0], names), part)  # type: ignore[misc]


def _closing(text: str, start: int) -> int:
    depth, inside = 1, False
    for place in range(start, len(text)):
        match text[place]:
            case "'":
                inside = not inside
            case "(" if not inside:
                depth += 1
            case ")" if not inside:
                depth -= 1
        if depth == 0:
            return place
    raise AssertionError(text)


def _renamed(parameter: str, names: dict[str, str]) -> str:
    return names.setdefault(parameter, f"${len(names) + 1}")


def _sender(frame: FrameType | None) -> str | None:
    """Return the module of the product that has a statement sent, or ``None`` if it is not the product."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and ".venv" not in path.parts:
            name = path.relative_to(ROOT).as_posix()
            if name not in _PASSED_THROUGH and not name.startswith("benchmarks/plans/"):
                return name if name.startswith(PRODUCT) else None
        frame = frame.f_back
    return None


class _Recorder:
    def __init__(self, file: Path) -> None:
        self._file, self._seen = file, set[tuple[str, str]]()

    def note(self, statement: str) -> None:
        if any(one in statement for one in _OF_ASYNCPG):
            return
        if not _PLANNED.match(statement) or (sender := _sender(currentframe())) is None:
            return
        with self._file.open("a", encoding="utf-8") as file:
            for part in parts(statement):
                if (sender, part) not in self._seen and _PLANNED.match(part):
                    self._seen.add((sender, part))
                    file.write(json.dumps([sender, part]) + "\n")


def pytest_configure() -> None:
    """Have asyncpg say what it is asked."""
    recorder = _Recorder(Path(os.environ["RECORD_STATEMENTS"]))
    for name in ("execute", "_get_statement"):
        setattr(asyncpg.Connection, name, _recorded(getattr(asyncpg.Connection, name), recorder))


def _recorded(
    method: Callable[..., Awaitable[object]], recorder: _Recorder
) -> Callable[..., Awaitable[object]]:
    @wraps(method)
    async def recorded(self: object, query: str, *arguments: object, **options: object) -> object:
        recorder.note(query)
        return await method(self, query, *arguments, **options)

    return recorded
