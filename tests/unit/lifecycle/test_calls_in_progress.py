"""Repeats under one Idempotency-Key while the first call runs."""

import asyncio

import pytest

from giftcert.lifecycle import idempotency
from giftcert.lifecycle.idempotency import CallsInProgress, IdempotencyBusyError
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
