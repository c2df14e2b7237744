"""Who acts by a command, and in which words."""

import getpass
from typing import Annotated, TypeAlias

import typer

from giftcert.cli.errors import CommandError
from giftcert.redaction import is_fit_to_tell

By: TypeAlias = Annotated[
    str | None, typer.Option("--by", help="Who acts, as the stream tells it; else who is logged in")
]
LONGEST = 500


def operator(by: str | None) -> str:
    """Return the name of who acts.

    Raises:
        CommandError: none is given and nobody is logged in.
    """
    if by is not None:
        return free_text(by, "--by")
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise CommandError("name who acts: --by NAME") from None


def free_text(text: str, option: str) -> str:
    """Return what somebody wrote, if it may stand on the stream.

    Raises:
        CommandError: it is empty, too long, or names what must not be told.
    """
    text = text.strip()
    if not 0 < len(text) <= LONGEST or "\x00" in text:
        raise CommandError(f"{option}: must have 1 to {LONGEST} characters")
    if not is_fit_to_tell(text):
        raise CommandError(
            f"{option}: goes to the stream, leave numbers, e-mail addresses and telephones out"
        )
    return text
