import io
import logging
from collections.abc import Iterator

import pytest

from giftcert.repeated_logs import LEFT_OUT, OURS_AT_ONCE, CountingHandler
from tests.waiting import until


class Log:
    """A handler of its own with what it has written; ``now`` is the clock that it looks at."""

    def __init__(self, seconds: float = 60) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        self.handler = CountingHandler(self._stream, seconds=seconds, clock=lambda: self.now)
        self.handler.setFormatter(Counted())

    def say(
        self, text: str, *arguments: object, logger: str = "aiokafka.client", level: str = "ERROR"
    ) -> None:
        number = logging.getLevelNamesMapping()[level]
        record = logging.LogRecord(logger, number, "a.py", 1, text, arguments, None)
        self.handler.handle(record)

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()


class Counted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        left_out = getattr(record, LEFT_OUT, None)
        return record.getMessage() + (f" x{left_out}" if left_out else "")


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.handler.close()


def test_an_absence_writes_one_line_and_its_count_each_minute(log: Log) -> None:
    for log.now in range(180):
        log.say("Unable connect to node with id %s: %s", log.now % 3, "refused")
    assert log.lines == [
        "Unable connect to node with id 0: refused",
        "Unable connect to node with id 2: refused x59",
        "Unable connect to node with id 0: refused",
        "Unable connect to node with id 2: refused x59",
        "Unable connect to node with id 0: refused",
    ]
    log.handler.close()
    assert log.lines[5:] == ["Unable connect to node with id 2: refused x59"]


def test_messages_that_differ_in_numbers_alone_are_of_one_kind(log: Log) -> None:
    log.say("offset 17 of 0190d5a8-0b6c-7d2e-9a4f-5e1b2c3d4e5f")
    log.say("offset 18 of 0190d5a8-0b6c-7d2e-9a4f-5e1b2c3d4e60")
    assert len(log.lines) == 1


def test_other_messages_levels_and_loggers_are_of_other_kinds(log: Log) -> None:
    log.say("lost")
    log.say("found")
    log.say("lost", level="WARNING")
    log.say("lost", logger="asyncio")
    assert len(log.lines) == 4


def test_another_error_under_the_same_message_is_written(log: Log) -> None:
    for error in (ValueError("a"), KeyError("b"), ValueError("c")):
        record = logging.LogRecord(
            "uvicorn.error", 40, "a.py", 1, "Exception", (), (type(error), error, None)
        )
        log.handler.handle(record)
    assert len([line for line in log.lines if line.startswith("Exception")]) == 2


def test_lines_of_ours_may_name_different_certificates(log: Log) -> None:
    for _ in range(OURS_AT_ONCE + 5):
        log.say("a workflow was missing", logger="kafka_ingest.sweeper", level="WARNING")
        log.say("works again", logger="giftcert.outage_report", level="INFO")
    assert log.lines.count("a workflow was missing") == OURS_AT_ONCE
    assert log.lines.count("works again") == OURS_AT_ONCE + 5


async def test_the_count_comes_although_nothing_else_is_said() -> None:
    log = Log(seconds=0.02)
    for _ in range(3):
        log.say("lost")
    log.now = 1.0
    await until(lambda: log.lines == ["lost", "lost x2"])
    log.handler.close()
