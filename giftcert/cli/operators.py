"""Who acts by a command, and why, as it is published on the stream."""

import getpass
from typing import Annotated, TypeAlias

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.output import own_texts
from giftcert.sensitive_text import is_sensitive

_LONGEST = 500


def operator(by: str | None) -> str:
    """Return the name of who acts: the one that is given, else of who is logged in."""
    if by is not None:
        return _free_text(by, "--by")
    try:
        return _free_text(getpass.getuser(), own_texts()("text-by-login"))
    except (KeyError, OSError, ImportError):
        raise CommandError(own_texts()("text-by-missing")) from None


def _free_text(text: str, option: str) -> str:
    text = text.strip()
    if not 0 < len(text) <= _LONGEST or "\x00" in text:
        raise CommandError(own_texts()("text-length", option=option, longest=_LONGEST))
    if is_sensitive(text):
        raise CommandError(own_texts()("text-sensitive", option=option))
    return text


def _checked(option: typer.CallbackParam, text: str) -> str:
    return _free_text(text, option.opts[0])


By: TypeAlias = Annotated[
    str | None, typer.Option("--by", help="Who acts, as published on the stream; else who is logged in")
]
Why: TypeAlias = Annotated[
    str, typer.Option(callback=_checked, help="Why; published on the stream, so nothing personal")
]
