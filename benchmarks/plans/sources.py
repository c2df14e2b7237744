"""What the sources of the product say of statements: whole ones, and the texts of which others are put together."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain

from benchmarks.plans.statements import PRODUCT, ROOT, parts

_WHOLE = re.compile(r"(SELECT|WITH|INSERT INTO|UPDATE|DELETE FROM) ")
_PIECE = re.compile(r"\b(FROM|INSERT INTO|UPDATE|JOIN) [a-z_]+\b")
_GAP = re.compile(r"\{+[^{}]*\}+|\$\d+")
_ALIKE = 80  # characters
_OTHERS = (
    "/migrations/",
    "/bi/",
    "/archive/",
    "/embedded/",
    "migrate.py",
)  # DuckDB's, or before there are tables
_JOINED = "{}"  # what an expression within an f-string becomes


def whole_statements(module: str) -> set[str]:
    """Return the statements that a module says without gaps."""
    said = chain.from_iterable(map(parts, chain(_constants(module), _literals(module))))
    return {text for text in said if _WHOLE.match(text) and not re.search(r"(?<!')\{\w*\}", text)}


@cache
def texts(module: str) -> frozenset[str]:
    """Return all texts of a module that are statements or pieces of some, with gaps."""
    found = chain.from_iterable(map(parts, chain(_constants(module), _literals(module))))
    return frozenset(text for text in found if _WHOLE.match(text) or _PIECE.search(text))


def modules() -> list[str]:
    """Return the modules of the product, by their paths."""
    files = chain.from_iterable(
        (ROOT / one).rglob("*.py") if (ROOT / one).is_dir() else [ROOT / one] for one in PRODUCT
    )
    paths = (file.relative_to(ROOT).as_posix() for file in files)
    return sorted(path for path in paths if not any(one in path for one in _OTHERS))


def unstored(stored: Iterable[str]) -> dict[str, list[str]]:
    """Return, by module, the texts that stand in no stored statement."""
    everything = "\n".join(stored)
    found = {
        module: [one for one in texts(module) if not _stands_in(one, everything)] for module in modules()
    }
    return {module: sorted(missing) for module, missing in found.items() if missing}


def needed(statements: Iterable[str]) -> set[str]:
    """Return those of one module's statements that are enough: of several that begin alike the longest.

    A shorter one is kept where it says what no longer one does: optional parts are put together in many ways.
    """
    kept: list[str] = []
    said = {text for module in modules() for text in texts(module)}
    for one in sorted(statements, key=len, reverse=True):
        new = {text for text in said if _stands_in(text, one)}
        if new or not any(other.startswith(one[:_ALIKE]) for other in kept):
            kept.append(one)
            said -= new
    return set(kept)


def is_said(statement: str) -> bool:
    """Return whether the sources still say a statement, as a whole or with gaps."""
    return any(
        _WHOLE.match(text) and _stands_in(text, statement, whole=True)
        for module in modules()
        for text in texts(module)
    )


@cache
def _pieces(text: str) -> tuple[str, ...]:
    return tuple(_GAP.split(text))


def _stands_in(text: str, statement: str, *, whole: bool = False) -> bool:
    """Return whether a text, with anything in its gaps, is part of a statement, or all of it."""
    first, *others = _pieces(text)
    start = statement.find(first)
    if start < 0 or (whole and start > 0):
        return False
    end = start + len(first)
    for piece in others:
        start = statement.find(piece, end)
        if start < 0:
            return False
        end = start + len(piece)
    return not whole or statement.endswith((others or [first])[-1])


def _constants(module: str) -> Iterator[str]:
    loaded = importlib.import_module(module.removesuffix(".py").replace("/", ".").removesuffix(".__init__"))
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
    }
    for name, value in vars(loaded).items():
        if name not in imported and not name.startswith("__") and isinstance(value, str):
            yield value


def _literals(module: str) -> Iterator[str]:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    skipped |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else _JOINED for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
