"""What a failing command says: one line, without secrets, and an exit code that is not 0."""

import re
import sys
import traceback

from typer.exceptions import TyperException

from giftcert.redaction import redact_text

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
        traceback.print_exception(error)
    error = _innermost(error)
    sys.stderr.write(f"giftcert: {redact_text(_one_line(error))}\n")
    code = getattr(error, "exit_code", _FAILED)
    return code if isinstance(code, int) else _FAILED


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _one_line(error: BaseException) -> str:
    # A usage error names the option only in its formatted message.
    said = error.format_message() if isinstance(error, TyperException) else str(error)
    text = _settings_problem(error) or " ".join(said.split()) or type(error).__name__
    ours = type(error).__module__.startswith(("giftcert.", "typer."))
    return text if ours or _settings_problem(error) else f"{type(error).__name__}: {text}"


def _settings_problem(error: BaseException) -> str | None:
    """Return which variable is wrong and why, never its value, if the settings were refused."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if isinstance(error, SettingsError):  # names the field only in its message
        field = re.search(r'field "(\w+)"', str(error))
        return f"GIFTCERT_{field[1].upper()}: must be JSON, as in .env.example" if field else None
    if not isinstance(error, ValidationError):
        return None
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(
        f"GIFTCERT_{'_'.join(map(str, p['loc'])).upper()}: {p['msg'].removeprefix('Value error, ')}"
        for p in problems
    )
