"""Tables for people. Nothing is ever cut: ids and positions are copied from them into the next command."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from textwrap import wrap

WIDE = 240
"""Where there is no terminal."""
LEAST = 44
"""Narrower than this the last column stands beneath the others."""
_GAP, _INDENT = 2, 4


def as_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as wide as the terminal, of which only the last column is wrapped."""
    table = [columns, *rows]
    widths = [max(len(row[nth]) for row in table) for nth in range(len(columns) - 1)]
    left = sum(widths) + _GAP * len(widths)
    beside = _width() - left >= LEAST
    indent = left if beside else _INDENT
    lines: list[str] = []
    for row in table:
        first = "".join(text.ljust(width + _GAP) for text, width in zip(row, widths, strict=False))
        last = wrap(row[-1], _width() - indent, break_long_words=False, break_on_hyphens=False)
        if beside:
            first, last = first + "".join(last[:1]), last[1:]
        lines += [first.rstrip(), *(" " * indent + line for line in last)]
    return "\n".join(lines)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
