"""Tables for people: as wide as the terminal, whole lines where there is none."""

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 240


def as_text(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as text; values are shown as they are, never read as markup."""
    terminal = Console()
    width = terminal.width if terminal.is_terminal else WIDE
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip())
