"""What a failing command says: one line, without secrets, and an exit code that is not 0."""

import sys
from typing import TYPE_CHECKING

from typer.exceptions import TyperException

from giftcert.redaction import printable, redact_text, redacted_trace

if TYPE_CHECKING:
    from pydantic import ValidationError

INTERRUPTED = 130
_FAILED = 1


class CommandError(Exception):
    """A command cannot do what it was asked; the message is one line."""


def exit_code_of(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong and return the exit code for it; with ``debug`` the whole trace comes first."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else _FAILED
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if debug:
        sys.stderr.write(redacted_trace(error))
    if line := reason_of(error):  # a group named without a command has shown its help
        sys.stderr.write(f"giftcert: {printable(redact_text(line))}\n")
    return error.exit_code if isinstance(error, TyperException) else _FAILED


def reason_of(error: BaseException) -> str:
    """Return in one line what is wrong; of settings that were refused which variable and why, never its value."""
    from pydantic import ValidationError  # noqa: PLC0415 - help does not need it, and loads it for long

    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ValidationError):
        return _wrong_settings(error)
    # A usage error names the option only in its formatted message.
    said = error.format_message() if isinstance(error, TyperException) else str(error)
    text = " ".join(said.split())
    is_ours = type(error).__module__.startswith(("giftcert.", "typer."))
    return text if is_ours else _unforeseen(error, text)


def _wrong_settings(error: "ValidationError") -> str:
    """Return which variables are wrong, why and where they are set, never their values."""
    from giftcert.setting_sources import given_settings  # noqa: PLC0415 - it loads the settings

    given, sentences = given_settings(), []
    for one in error.errors(include_input=False, include_url=False):
        name, why = str(one["loc"][0]), one["msg"].removeprefix("Value error, ")
        place = f" ({given[name].place})" if name in given else ""
        sentences.append(f"GIFTCERT_{name.upper()}: {why}{place}")
    return "; ".join(sentences)


def _unforeseen(error: BaseException, text: str) -> str:
    """Return what others say that failed; the name of their class says nothing to who reads it."""
    if isinstance(error, TimeoutError):
        return "there was no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    reason = f" ({text})" if text else ""
    return f"this failed for an unforeseen reason{reason}; --debug shows where"
