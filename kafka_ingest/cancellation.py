"""A cancellation that somebody kept to himself is raised again."""

import asyncio


def raise_if_cancelled() -> None:
    """Raise ``CancelledError`` where this task was cancelled and goes on all the same.

    aiokafka swallows one that comes while it waits for its own tasks. A loop that goes on afterwards would never end.
    Not for a task that has had a ``TaskGroup``: before Python 3.13 a failure of its parts leaves the same mark.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
