"""Groups of commands: what their help lists, whole at any width, and what they say where no command is named."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:  # typer has no public name for them
    from typer._click import Context, HelpFormatter

_USAGE = 2  # the exit code of a command that is used wrongly


class Group(TyperGroup):
    """Lists its commands with all of what they say of themselves, which typer would cut."""

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the commands into the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries(ctx)))

    def summaries(self, ctx: "Context") -> Iterator[tuple[str, str]]:
        """Yield each command with the first line of its help."""
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                yield name, (command.help or "").partition("\n\n")[0]

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Show the help where nothing is named, and end as for a wrong usage."""
        if not args:
            typer.echo(ctx.get_help())
            raise typer.Exit(_USAGE)
        return super().parse_args(ctx, args)
