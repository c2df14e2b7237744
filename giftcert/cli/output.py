"""What commands print: lines and tables for people, JSON for programs."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Annotated, Any, TypeAlias

import typer

from giftcert.redaction import printable

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON")]
_WIDE = 240  # where there is no terminal
_LEAST = 44  # narrower than this the last column of a table stands beneath the others
_GAP, _INDENT = 2, 4


def say(data: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401 - any JSON
    """Print the data as one line of JSON, or the text; nothing of it does a terminal obey."""
    typer.echo(_in_json(json.dumps(data, ensure_ascii=False, default=str)) if as_json else printable(text))


def say_progress(what: str, done: int, total: int, *, as_json: bool) -> None:
    """Print for people how much of something is done, over what was printed of it before."""
    if not as_json:
        typer.echo(f"\r{what}{done:,} of {total:,}", nl=done >= total, err=True)


def stamp(at: datetime | None) -> str | None:
    """Return an instant as contracts write it, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as wide as the terminal, of which only the last column is wrapped.

    Nothing is ever cut: ids and positions are copied from it into the next command.
    """
    lines_of = [columns, *([printable(cell, keep="") for cell in row] for row in rows)]
    widths = [max(len(row[nth]) for row in lines_of) for nth in range(len(columns) - 1)]
    left = sum(widths) + _GAP * len(widths)
    beside = _width() - left >= _LEAST
    indent = left if beside else _INDENT
    lines: list[str] = []
    for row in lines_of:
        first = "".join(text.ljust(width + _GAP) for text, width in zip(row, widths, strict=False))
        last = wrap(row[-1], _width() - indent, break_long_words=False, break_on_hyphens=False)
        if beside:
            first, last = first + "".join(last[:1]), last[1:]
        lines += [first.rstrip(), *(" " * indent + line for line in last)]
    return "\n".join(lines)


def _in_json(text: str) -> str:
    """Escape what is not printable, as JSON lets any character be: within texts alone, for outside there is none."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
