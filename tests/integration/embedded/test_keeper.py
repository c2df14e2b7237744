"""What becomes of a part that dies, hangs, or never gets ready."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path

import psutil
import pytest
from asyncpg import ConnectionDoesNotExistError
from stand_ins import DEAF, OBEDIENT, MakeProgram, Reports

from giftcert.embedded.guardian import PidFile
from giftcert.embedded.keeper import Keeper, Program, Report
from giftcert.embedded.state_folder import StackError, StateFolder
from tests.processes import PATIENCE_SECONDS, has_ended, holds


@asynccontextmanager
async def kept(
    program: Program, state: StateFolder, reports: Report, on_lost: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Keeper]:
    keeper = Keeper(program, state, reports, on_lost)
    try:
        await keeper.make_ready()
        yield keeper
    finally:
        await keeper.stop(0.2)


def records(state: StateFolder) -> list[Path]:
    return list(state.run.glob("part.*.json"))


def pid_of(keeper: Keeper) -> int:
    assert keeper.process is not None
    return keeper.process.pid


async def test_a_part_is_reported_when_it_is_ready(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    async with kept(stand_in(OBEDIENT, address="127.0.0.1:1"), state, reports):
        (line,) = reports.of("ready")
    assert line.startswith("ready  127.0.0.1:1  ")


async def test_a_part_that_dies_is_reported_and_started_again(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    async with kept(stand_in(OBEDIENT), state, reports) as keeper:
        first = pid_of(keeper)
        os.kill(first, signal.SIGKILL)
        await holds(lambda: len(reports.of("ready")) == 2)
        assert reports.of("was killed by SIGKILL; starting it again in 0.5 s")
        assert pid_of(keeper) != first


async def test_a_part_that_dies_in_the_middle_of_a_look_is_started_again(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    program = stand_in(OBEDIENT)
    looks = 0

    async def is_ready() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await program.is_ready()

    async with kept(replace(program, is_ready=is_ready), state, reports) as keeper:
        os.kill(pid_of(keeper), signal.SIGKILL)
        await holds(lambda: len(reports.of("ready")) == 2)


async def test_a_part_that_dies_while_the_disk_is_full_is_started_once_there_is_room(
    state: StateFolder, reports: Reports, stand_in: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, attempts = PidFile.save, 0

    def save_or_not(record: PidFile, folder: Path) -> Path:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError(ENOSPC, "No space left on device")
        return save(record, folder)

    async with kept(stand_in(OBEDIENT), state, reports) as keeper:
        monkeypatch.setattr(PidFile, "save", save_or_not)
        os.kill(pid_of(keeper), signal.SIGKILL)
        await holds(lambda: len(reports.of("ready")) == 2)
        assert reports.of("part cannot be recorded: No space left on device")
        assert len(records(state)) == 1


async def test_why_a_look_at_a_part_fails_is_said_when_it_never_gets_ready(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    async def is_ready() -> bool:
        raise ConnectionDoesNotExistError("no such password")

    program = stand_in("import signal; signal.pause()", ready_within=0.3, is_ready=is_ready)
    with pytest.raises(StackError, match=r"part was not ready within 0 s \(no such password\)"):
        async with kept(program, state, reports):
            pass


async def test_a_part_that_dies_again_and_again_is_started_after_ever_longer_waits(
    tmp_path: Path, state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    code = "{ready}; mark = pathlib.Path(sys.argv[1])\nwhile mark.exists(): pass\nsys.exit(3)"

    def die_when_ready(part: str, line: str) -> None:
        reports(part, line)
        if line.startswith("ready"):
            (tmp_path / "part.ready").unlink()

    async with kept(stand_in(code), state, die_when_ready):
        await holds(lambda: len(reports.of("starting it again")) >= 3)
    waits = [line.rsplit("in ", 1)[1] for line in reports.of("ended with 3")]
    assert waits[:3] == ["0.5 s", "1 s", "2 s"]


async def test_the_last_words_of_a_dead_part_are_told(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    with pytest.raises(StackError, match=r"part ended with 2 \(no such table\) before it was ready"):
        async with kept(stand_in("import sys; print('no such table'); sys.exit(2)"), state, reports):
            pass


async def test_a_part_that_never_gets_ready_is_not_called_ready(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    with pytest.raises(StackError, match="part was not ready within 0 s"):
        async with kept(stand_in("import signal; signal.pause()", ready_within=0.3), state, reports):
            pass
    assert not reports.of("ready  ")


async def test_a_program_that_is_not_there_is_named(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    with pytest.raises(StackError, match="part cannot be started"):
        async with kept(stand_in("", command=("/nowhere/program",)), state, reports):
            pass


async def test_a_part_that_hangs_is_killed_after_its_grace(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    async with kept(stand_in(DEAF), state, reports) as keeper:
        pid = pid_of(keeper)
    assert not psutil.pid_exists(pid)
    assert reports.of("killed: it did not end within")


async def test_what_a_part_started_ends_with_it(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    code = "import subprocess; child = subprocess.Popen(['sleep', '600']); {ready}; import signal; signal.pause()"
    async with kept(stand_in(code), state, reports) as keeper:
        (child,) = psutil.Process(pid_of(keeper)).children()
    await holds(lambda: has_ended(child))


async def test_a_part_that_cannot_be_replaced_is_lost(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    lost: list[str] = []
    async with kept(stand_in(OBEDIENT, replaceable=False), state, reports, lost.append) as keeper:
        os.kill(pid_of(keeper), signal.SIGKILL)
        await holds(lambda: lost == ["part"])
    assert not reports.of("starting it again")


async def test_no_record_is_left_of_a_part_that_was_ended(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    async with kept(stand_in(OBEDIENT), state, reports):
        assert records(state)
    assert not records(state)


async def test_a_part_with_a_lifeline_starts_at_the_word_and_ends_with_the_line(
    state: StateFolder, reports: Reports, stand_in: MakeProgram
) -> None:
    code = "import sys; assert sys.stdin.readline() == 'go\\n'; {ready}; sys.stdin.read()"
    keeper = Keeper(stand_in(code, lifeline=True), state, reports)
    assert (await keeper.launch()).returncode is None
    await keeper.make_ready()
    await keeper.stop(PATIENCE_SECONDS)
    assert not reports.of("killed")
