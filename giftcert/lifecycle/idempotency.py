"""The one mechanism for ``Idempotency-Key``: a call is answered once, and its repeats get the same answer.

An answer is looked up before any lock and again under it, and written last, on success, in the same transaction. A
repeat while the first call runs waits for it here, without a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

from giftcert.security.keyring import Keyring
from giftcert.storage.idempotency import IdempotencyKey

LONGEST_WAIT = timedelta(seconds=2)  # of a repeat for the first call's answer; contract with the channels


class IdempotencyBusyError(Exception):
    """The first call under the key is still running; the caller repeats it."""


def idempotency_key(
    keyring: Keyring, caller: str, call: str, key: str, parameters: bytes, *, kept: bool = False
) -> IdempotencyKey:
    """Return a caller's key for one call with these parameters."""
    hashed = keyring.fingerprint(f"{caller}\n{call}\n{key}")
    return IdempotencyKey(hashed, sha256(parameters).digest(), kept)


class CallsInProgress:
    """Which keys are being worked under in this process: one call runs, one repeat may wait for it."""

    def __init__(self) -> None:
        self._running: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._waiting: set[bytes] = set()

    @asynccontextmanager
    async def alone(self, key: IdempotencyKey | None) -> AsyncIterator[None]:
        """Run when no other call of this process runs under the key; else raise ``IdempotencyBusyError``."""
        if key is None:
            yield
            return
        if key.caller_key in self._waiting:
            raise IdempotencyBusyError
        running = self._running.setdefault(key.caller_key, asyncio.Lock())
        self._waiting.add(key.caller_key)
        try:
            async with asyncio.timeout(LONGEST_WAIT.total_seconds()):
                await running.acquire()
        except TimeoutError:
            raise IdempotencyBusyError from None
        finally:
            self._waiting.discard(key.caller_key)
        try:
            yield
        finally:
            running.release()
