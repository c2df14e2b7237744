"""Whether number and CVC belong together: the same work and the same answer whichever of them is wrong."""

import asyncio
import hmac
import math
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from limits import parse
from sqlalchemy.ext.asyncio import AsyncEngine

from api import problems
from api.limits import CallLimit
from giftcert.clock import utc_now
from giftcert.domain.guessing import GuessLimit, GuessPolicy
from giftcert.security import Keyring
from giftcert.settings import Settings
from giftcert.storage.credentials import CredentialRepository, Guess, Known
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.storage.verification_locks import VerificationLockRepository

_LOG = structlog.get_logger(__name__)
NOBODY = UUID(int=0)
TOLD_EVERY = timedelta(seconds=1)
FORGOTTEN_EVERY = timedelta(minutes=10)


def guess_policy(settings: Settings) -> GuessPolicy:
    """Return what the settings allow to be wrong."""
    return GuessPolicy(
        per_number=_limit(settings.wrong_cvcs_per_certificate),
        per_caller=_limit(settings.wrong_cvcs_per_caller),
        lock=settings.verification_lock,
    )


def _limit(written: str) -> GuessLimit:
    rate = parse(written)
    return GuessLimit(rate.amount, timedelta(seconds=rate.get_expiry()))


class CredentialCheck:
    """Checks number and CVC, and counts in the database what is wrong: for all processes, and across restarts."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring, settings: Settings) -> None:
        self._engine = engine
        self._keyring = keyring
        self._policy = guess_policy(settings)
        self._calls = CallLimit(settings.verifications_per_caller, problems.TOO_MANY_ATTEMPTS)
        self._nobodys_cvc = keyring.seal("0" * 6, NOBODY.bytes)

    async def certificate_of(self, caller: str, channel: str, number: str, cvc: str) -> UUID | None:
        """Return the certificate with this number and CVC, or ``None`` if there is none or its number is locked.

        Raises:
            ProblemError: 429, as the caller asks too often or has been wrong too often.
        """
        await self._calls.hit(caller)
        guess = Guess(self._keyring.fingerprint(number), caller, channel, utc_now())
        async with self._engine.begin() as connection:
            credentials = CredentialRepository(connection, self._policy)
            known = await credentials.look_up(guess)
            self._check_caller(known, guess)
            if self._is_right(known, cvc):
                return known.certificate_id
            await credentials.failed(guess, known)
        return None

    def _check_caller(self, known: Known, guess: Guess) -> None:
        limit = self._policy.per_caller
        if limit.is_reached(known.of_caller):
            wait = limit.allowed_again(known.of_caller, guess.now).total_seconds()
            raise problems.ProblemError(problems.TOO_MANY_ATTEMPTS, retry_after=max(1, math.ceil(wait)))

    def _is_right(self, known: Known, cvc: str) -> bool:
        """Open a seal and compare in any case: of a number that does not exist, nobody's."""
        sealed = known.cvc_sealed if known.cvc_sealed is not None else self._nobodys_cvc
        opened = self._keyring.open(sealed, (known.certificate_id or NOBODY).bytes)
        is_equal = hmac.compare_digest(opened.encode(), cvc.encode())
        return is_equal and known.certificate_id is not None and not known.is_locked


class LockTeller:
    """Tells new locks after the answer that locked: the events of a number that exists would take time."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._policy = guess_policy(settings)
        self._forget_at = utc_now()

    async def tell(self, stop: asyncio.Event) -> None:
        """Tell until stopped, once a second; forget now and then what counts no more."""
        while not stop.is_set():
            try:
                async with self._engine.begin() as connection:
                    await VerificationLockRepository(connection).tell_new(self._settings.workflow_url)
                await self._forget(utc_now())
            except DATABASE_ERRORS as error:
                _LOG.warning("locks wait to be told", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TOLD_EVERY.total_seconds())

    async def _forget(self, now: datetime) -> None:
        if now < self._forget_at:
            return
        before = now - self._policy.longest_window
        async with self._engine.begin() as connection:
            await CredentialRepository(connection, self._policy).forget(before)
            await VerificationLockRepository(connection).forget(before)
        self._forget_at = now + FORGOTTEN_EVERY
