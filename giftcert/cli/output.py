"""What commands print: lines, tables and amounts for people, JSON for programs."""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Annotated, Any, TypeAlias

import typer

from giftcert.redaction import printable
from giftcert.settings import load_settings
from giftcert.texts import Texts, texts_in

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON")]
LogJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Log in JSON, as with GIFTCERT_LOG_JSON")]
_WIDE = 240  # where there is no terminal
_LEAST = 32  # a last column that would be narrower than this makes a block of each row
_GAP = 2
_NO_BREAK = "\N{NO-BREAK SPACE}"
_BEFORE_CURRENCY = re.compile(r"(?<=\d) (?=[A-Z]{3}\b)")  # no amount is torn from its currency


def own_texts() -> Texts:
    """Return the texts of support in the language that the settings of this shell name."""
    return texts_in(load_settings().language)


def say(data: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401 - any JSON
    """Print the data as one line of JSON, or the text; nothing of it does a terminal obey."""
    in_json = _in_json(json.dumps(data, ensure_ascii=False, default=str)) if as_json else ""
    typer.echo(in_json or printable(text.replace(_NO_BREAK, " ")))


def say_step(text: str) -> None:
    """Print what a command is doing, beside its result: on standard error, so that it may be seen with JSON too."""
    typer.echo(printable(text), err=True)


def say_progress(what: str, done: int, total: int, *, as_json: bool) -> None:
    """Print for people how much of something is done, over what was printed of it before."""
    if not as_json:
        typer.echo(f"\r{what}{done:,} of {total:,}", nl=done >= total, err=True)


def stamp(at: datetime | None) -> str | None:
    """Return an instant as contracts write it, to the millisecond."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as wide as the terminal, of which only the last column is wrapped.

    Where that column would be too narrow, each row is a block of lines instead. Nothing is ever cut or broken: ids,
    positions and links are copied from it into the next command.
    """
    shown = [[printable(cell, keep=_NO_BREAK) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)][:-1]
    left = sum(widths) + _GAP * len(widths)
    longest = max(_longest_word(row[-1]) for row in [columns, *shown])
    needed = max(longest, min(_LEAST, max(len(row[-1]) for row in [columns, *shown])))
    if left + needed > _width():
        return "\n\n".join(_block(columns, row) for row in shown)
    lines: list[str] = []
    for row in [columns, *shown]:
        first = "".join(text.ljust(width + _GAP) for text, width in zip(row, widths, strict=False))
        lines += _hanging(first, row[-1])
    return "\n".join(lines)


def fields(values: Iterable[tuple[str, str]]) -> str:
    """Return names with their values beside them, each on a line of its own that is wrapped like a table's."""
    names, texts = zip(*values, strict=True)
    return _block(names, texts)


def _block(columns: Sequence[str], row: Sequence[str]) -> str:
    """Name each value; one whose longest word does not fit beside the names is beneath its own."""
    filled = [(name, value) for name, value in zip(columns, row, strict=True) if value]
    left = max((len(name) for name, _ in filled), default=0) + _GAP
    lines: list[str] = []
    for name, value in filled:
        if left + _longest_word(value) > _width():
            lines += [name, *_hanging("", value)]
        else:
            lines += _hanging(name.ljust(left), value)
    return "\n".join(lines)


def _hanging(first: str, text: str) -> list[str]:
    """Return the lines of a text that is wrapped to the right of what is before it."""
    width = max(1, _width() - len(first))
    whole = _BEFORE_CURRENCY.sub(_NO_BREAK, text)
    wrapped = wrap(whole, width, break_long_words=False, break_on_hyphens=False) or [""]
    indents = (first, *(" " * len(first) for _ in wrapped[1:]))
    lines = zip(indents, wrapped, strict=True)
    return [f"{indent}{line}".replace(_NO_BREAK, " ").rstrip() for indent, line in lines]


def _longest_word(text: str) -> int:
    return max(map(len, _BEFORE_CURRENCY.sub(_NO_BREAK, text).split(" ")), default=0)


def _in_json(text: str) -> str:
    """Escape what is not printable, as JSON lets any character be: within texts alone, for outside there is none."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def _width() -> int:
    return shutil.get_terminal_size((_WIDE, 0)).columns
