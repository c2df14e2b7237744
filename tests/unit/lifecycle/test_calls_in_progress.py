"""Repeats under one Idempotency-Key while the first call runs."""

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from giftcert.lifecycle import idempotency
from giftcert.lifecycle.idempotency import CallsInProgress, IdempotencyBusyError, idempotency_key
from giftcert.security.keyring import Keyring
from giftcert.storage.idempotency import IdempotencyKey

KEY = IdempotencyKey(b"key", b"parameters")


class Calls:
    """Calls under one key, each of which ends when it is told to."""

    def __init__(self) -> None:
        self._progress = CallsInProgress()
        self.running = 0
        self.end = asyncio.Event()

    def begin(self, key: IdempotencyKey | None = KEY) -> "asyncio.Task[None]":
        return asyncio.create_task(self._call(key))

    async def _call(self, key: IdempotencyKey | None) -> None:
        async with self._progress.alone(key):
            self.running += 1
            await self.end.wait()


async def until_all_wait() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_repeat_waits_for_the_first_and_others_are_sent_away_at_once() -> None:
    calls = Calls()
    first, repeat = calls.begin(), calls.begin()
    await until_all_wait()
    others = [calls.begin() for _ in range(6)]
    for other in others:
        with pytest.raises(IdempotencyBusyError):
            await other
    assert calls.running == 1
    calls.end.set()
    await asyncio.gather(first, repeat)
    assert calls.running == 2


async def test_a_repeat_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "LONGEST_WAIT", idempotency.LONGEST_WAIT * 0)
    calls = Calls()
    first, repeat = calls.begin(), calls.begin()
    with pytest.raises(IdempotencyBusyError):
        await repeat
    calls.end.set()
    await first


async def test_a_call_that_fails_lets_the_repeat_run() -> None:
    calls = Calls()
    first, repeat = calls.begin(), calls.begin()
    await until_all_wait()
    first.cancel()
    calls.end.set()
    await repeat
    assert calls.running == 2


async def test_calls_without_a_key_and_under_other_keys_run_beside_each_other() -> None:
    calls = Calls()
    keys = (None, None, KEY, IdempotencyKey(b"other", b"parameters"))
    running = [calls.begin(key) for key in keys]
    await until_all_wait()
    assert calls.running == len(keys)
    calls.end.set()
    await asyncio.gather(*running)


def test_a_key_is_of_one_caller_and_one_call(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keyring.json")
    made = [
        idempotency_key(keyring, caller, call, key, b"parameters")
        for caller in ("im", "pos")
        for call in ("hold", "capture")
        for key in ("1", "2")
    ]
    assert len({one.caller_key for one in made}) == len(made)
    assert made[0] == idempotency_key(keyring, "im", "hold", "1", b"parameters")


def test_a_key_knows_its_parameters_and_is_forgotten_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    keyring = Keyring.create(tmp_path / "keyring.json")
    key = idempotency_key(keyring, "im", "hold", "1", b"parameters")
    assert (key.parameters, key.kept) == (sha256(b"parameters").digest(), False)
    assert idempotency_key(keyring, "im", "hold", "1", b"parameters", kept=True).kept
