"""Commands run beside a stack that is starting wait for it, and say what they wait for."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from giftcert.embedded import addresses as found
from giftcert.embedded.addresses import Addresses, running_stack, save_addresses, started_stack
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.settings import Settings

STARTING = Addresses(database_url="postgresql://here/giftcert")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a stack that this process holds."""
    StateFolder(tmp_path).create()
    return Settings(state_dir=tmp_path, channels=("im", "kiosk"), _env_file=None)


async def test_a_stack_that_is_starting_is_waited_for_until_it_is_ready(settings: Settings) -> None:
    heard: list[str] = []
    save_addresses(STARTING, settings)
    waiting = asyncio.create_task(started_stack(settings, heard.append))
    await asyncio.sleep(0)
    assert not waiting.done()
    save_addresses(replace(STARTING, api_url="http://127.0.0.1:1"), settings)
    stack = await waiting
    assert (stack.addresses.api_url, stack.channels) == ("http://127.0.0.1:1", ("im", "kiosk"))
    assert heard == [f"the stack on {settings.state_dir} is starting: waiting until it is ready"]


async def test_a_stack_that_ends_while_it_starts_is_waited_for_no_longer(settings: Settings) -> None:
    save_addresses(STARTING, settings)
    waiting = asyncio.create_task(started_stack(settings, lambda _line: None))
    await asyncio.sleep(0)
    StateFolder(settings.state_dir).addresses.unlink()
    with pytest.raises(StackError, match="no stack runs on"):
        await waiting


async def test_one_that_does_not_begin_to_start_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "_BEGIN_SECONDS", 0)
    heard: list[str] = []
    with pytest.raises(StackError, match="start `giftcert up`"):
        await started_stack(settings, heard.append)
    assert heard == [f"no stack runs on {settings.state_dir} yet: waiting for one to start"]


def test_nobody_reads_half_of_the_addresses(settings: Settings) -> None:
    for url in ("postgresql://a/x", "postgresql://b/x" * 1_000):
        save_addresses(Addresses(database_url=url), settings)
        stack = running_stack(settings)
        assert stack is not None
        assert stack.addresses.database_url == url
    assert [path.name for path in settings.state_dir.glob("addresses*")] == ["addresses.json"]


def test_a_stack_that_another_version_started_is_named(settings: Settings) -> None:
    save_addresses(STARTING, settings)
    file = StateFolder(settings.state_dir).addresses
    file.write_text(file.read_text().replace('"addresses": {', '"addresses": {"of_later": 1, '))
    with pytest.raises(StackError, match="another version started the stack on"):
        running_stack(settings)
