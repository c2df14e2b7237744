"""All commands of the command line, by their whole names."""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from giftcert.cli import command_line


def cli_commands() -> dict[str, Any]:
    """Return every command that does something, such as ``pool import``; a group is none."""
    return dict(_commands(command_line()))


def _commands(group: Any, *names: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(group, TyperGroup):
        yield " ".join(names), group
        return
    for name in group.list_commands(None):
        yield from _commands(group.get_command(None, name), *names, name)
