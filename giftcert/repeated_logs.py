"""Repeated log lines: written for the first time, then counted; the count follows once a minute and at the end.

A broker that was away for minutes made aiokafka write 1,900 lines, each of which said the same.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO, TypeAlias

WINDOW_SECONDS = 60.0
OURS = ("giftcert", "api", "kafka_ingest", "activities", "workflows", "worker")
OURS_AT_ONCE = 20
"""Lines of ours that say the same may name different certificates; informative ones are never left out."""
MOST_KINDS = 1_000
LEFT_OUT = "left_out"
"""Attribute of a record that stands for so many more like it."""
_VARIABLE = re.compile(r"\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", re.IGNORECASE)
Kind: TypeAlias = tuple[str, int, str, str]


@dataclass(slots=True)
class _Window:
    """Lines of one kind since the first of them; ``last`` is the newest of those that were left out."""

    ends: float
    written: int = 0
    left_out: int = 0
    last: logging.LogRecord | None = None


class CountingHandler(logging.StreamHandler[TextIO]):
    """Writes a few lines of a kind in a minute and counts the others.

    Lines are of one kind if logger, level and message are the same but for numbers, and any error comes from the same
    place.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        seconds: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._seconds = seconds
        self._clock = clock
        self._windows: dict[Kind, _Window] = {}
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line or count it; logging holds the lock of this handler meanwhile."""
        at_once = _written_at_once(record)
        if at_once is None:
            super().emit(record)
            return
        now = self._clock()
        self._conclude(now)
        kind = _kind(record)
        if kind not in self._windows and len(self._windows) >= MOST_KINDS:
            super().emit(record)
            return
        window = self._windows.setdefault(kind, _Window(ends=now + self._seconds))
        if window.written < at_once:
            window.written += 1
            super().emit(record)
        else:
            window.left_out, window.last = window.left_out + 1, record
            self._wait_for_end()

    def close(self) -> None:
        """Write the counts that are not written yet."""
        with self.lock or threading.RLock():
            if self._timer is not None:
                self._timer.cancel()
            self._conclude(float("inf"))
        super().close()

    def _conclude(self, now: float) -> None:
        """Write the counts of the windows that have ended."""
        for kind in [kind for kind, window in self._windows.items() if window.ends <= now]:
            window = self._windows.pop(kind)
            if window.last is not None:
                setattr(window.last, LEFT_OUT, window.left_out)
                super().emit(window.last)

    def _wait_for_end(self) -> None:
        """Have the counts written although no other line comes."""
        if self._timer is None:
            first = min(window.ends for window in self._windows.values() if window.left_out)
            self._timer = threading.Timer(max(0.0, first - self._clock()), self._ring)
            self._timer.daemon = True
            self._timer.start()

    def _ring(self) -> None:
        with self.lock or threading.RLock():
            self._timer = None
            self._conclude(self._clock())
            if any(window.left_out for window in self._windows.values()):
                self._wait_for_end()


def _written_at_once(record: logging.LogRecord) -> int | None:
    """Return how many lines of a record's kind are written in a minute; ``None``: all."""
    if record.name.partition(".")[0] not in OURS:
        return 1
    return OURS_AT_ONCE if record.levelno >= logging.WARNING else None


def _kind(record: logging.LogRecord) -> Kind:
    said = record.msg.get("event", "") if isinstance(record.msg, dict) else record.msg
    return record.name, record.levelno, _VARIABLE.sub("#", str(said)), _origin(record)


def _origin(record: logging.LogRecord) -> str:
    """Return class and line of a record's error, so that another one is not taken for its repetition."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    trace = record.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(record.exc_info[1]).__name__} {place}"
