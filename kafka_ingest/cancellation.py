"""A cancellation that somebody kept to himself is raised again."""

import asyncio


def raise_if_cancelled() -> None:
    """Raise ``CancelledError`` where this task was cancelled and goes on all the same.

    aiokafka's stop swallows a cancellation that comes while it waits for its own tasks, and so does a ``TaskGroup``
    before Python 3.13 that fails at the same time. A loop that goes on afterwards would never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
