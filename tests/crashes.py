"""A crash right before or right after one step of the real code, whoever it is that crashes."""

import asyncio
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest

BEFORE, AFTER = "before", "after"
Step = tuple[Any, str]
"""The class or module that has a step, and its name there."""


class CrashError(Exception):
    """The process ends here: nothing of ours expects this error, so nobody goes on from it."""


def around_each(*steps: Step) -> pytest.MarkDecorator:
    """Run a test once for the moment before and once for the moment after each of these steps."""
    cases = [
        pytest.param(
            step, moment, id=f"{moment} {getattr(step[0], '__name__', '').rpartition('.')[2]}.{step[1]}"
        )
        for step in steps
        for moment in (BEFORE, AFTER)
    ]
    return pytest.mark.parametrize(("step", "moment"), cases)


def crash(
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
    moment: str,
    *,
    nth: int = 1,
    error: Callable[[str], BaseException] = CrashError,
) -> asyncio.Event:
    """Have the nth call of a step crash, before it does anything or after it did all, and no other.

    Returns:
        What is set when that has happened: a test whose step is never reached shows nothing.
    """
    owner, name = step
    real, happened = getattr(owner, name), asyncio.Event()
    left = [None] * nth

    def reached(now: str) -> None:
        if now == moment and left:
            left.pop()
            if not left:
                happened.set()
                raise error(f"{moment} {name}")

    async def stepped(*given: Any, **named: Any) -> Any:
        reached(BEFORE)
        answer = await real(*given, **named)
        reached(AFTER)
        return answer

    def stepped_at_once(*given: Any, **named: Any) -> Any:
        reached(BEFORE)
        answer = real(*given, **named)
        reached(AFTER)
        return answer

    monkeypatch.setattr(owner, name, stepped if iscoroutinefunction(real) else stepped_at_once)
    return happened
