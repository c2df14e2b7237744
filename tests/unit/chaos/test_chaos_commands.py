"""What ``python -m chaos`` draws from its seed, and how overload and soak judge what they see."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from random import Random

import pytest

from chaos import overload
from chaos.__main__ import options_of
from chaos.faults import all_faults
from chaos.load import Load, milliseconds, put
from chaos.overload import Window
from chaos.schedule import rounds_of
from chaos.soak import growth

NAMES = list(all_faults(1, 1))


def drawn(seed: int, number: int) -> list[str]:
    return [name for name, _ in islice(rounds_of(NAMES, Random(seed)), number)]


def test_each_round_has_every_fault_once_in_an_order_that_the_seed_decides() -> None:
    rounds = drawn(7, 2 * len(NAMES))
    first, second = rounds[: len(NAMES)], rounds[len(NAMES) :]
    assert sorted(first) == sorted(second) == sorted(NAMES)
    assert first != second
    assert rounds == drawn(7, 2 * len(NAMES))
    assert first != drawn(8, len(NAMES))


@pytest.mark.parametrize("part", ["worker", "ingest", "dispatch", "api", "postgres", "kafka", "temporal"])
def test_every_process_and_server_is_ended_and_frozen(part: str) -> None:
    ended = f"{part}-killed" if f"{part}-killed" in NAMES else f"{part}-away"
    assert {ended, f"{part}-frozen"} <= set(NAMES)


def test_what_is_asked_for_is_drawn_if_nothing_is_said() -> None:
    options = options_of([])
    assert (options.sales, options.command) == (10_000, None)
    assert options.seed is not None
    assert options_of(["soak", "--minutes", "2"]).minutes == 2
    assert options_of(["overload"]).command == "overload"


# Memory --------------------------------------------------------------------------------------------


def looks(memory: Sequence[int]) -> list[tuple[float, int]]:
    return list(enumerate(memory))  # type: ignore[arg-type] # whole minutes


def test_memory_that_comes_to_rest_after_the_warm_up_is_flat() -> None:
    assert growth("api", looks([100, 140, 170, 180, 181, 180, 182, 181, 180, 181])) is None


def test_memory_that_goes_on_growing_is_named() -> None:
    assert growth("api", looks(range(100, 160, 2))) == "api: memory grows by 2.00 MB a minute"


def test_too_few_looks_prove_nothing() -> None:
    assert growth("api", looks([100, 100])) == "api: too few looks to say how its memory grows"


# Overload ------------------------------------------------------------------------------------------


def window(**statuses: int) -> Window:
    counts = {name.removeprefix("s"): number for name, number in statuses.items()}
    return Window(rate=80, statuses=counts, served=(20, 90), shed=(3, 15), unsent=0, broken=0)


def test_an_overload_that_is_shed_fast_is_well() -> None:
    assert overload.faults_of(window(s200=800), window(s200=900, s503=9_000), [150, 180]) == []


@pytest.mark.parametrize(
    ("seen", "memory", "fault"),
    [
        (window(s200=900), [150], "nothing was refused"),
        (window(s200=900, s503=9, s500=3), [150], "3 answers 500"),
        (window(s200=900, s503=9), [150, 700], "memory grew by 550 MB, more than 300"),
    ],
)
def test_an_overload_that_is_not_is_named(seen: Window, memory: list[int], fault: str) -> None:
    assert overload.faults_of(window(s200=800), seen, memory) == [fault]


async def test_requests_come_at_their_rate_however_slowly_they_are_answered() -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            asked.append(line)
            status = b"503 Busy" if len(asked) % 2 else b"200 OK"
            await asyncio.sleep(0.05)
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = Load("127.0.0.1", port, ["GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"], seconds=0.5, rate=200)
        answers = await put(load)
    assert 60 <= len(asked) <= 101
    assert len(set(asked)) == len(asked)
    assert sum(answers.statuses.values()) == len(answers.served) + len(answers.shed) == len(asked)
    assert abs(answers.statuses["200"] - answers.statuses["503"]) <= 1
    assert milliseconds(answers.served)[0] >= 50
    assert (answers.unsent, answers.broken) == (0, 0)
