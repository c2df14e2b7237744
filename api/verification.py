"""``/certificates/verify``: whether number and CVC belong together; too many wrong pairs lock a number."""

import asyncio
import hmac
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID
from weakref import WeakValueDictionary

from fastapi import APIRouter, Header
from pydantic import Field, Secret, StringConstraints

from api.authentication import AuthenticatedRoute, ChannelCall
from api.disclosure_limits import too_many
from api.openapi import may_answer
from api.problems import Problem
from api.schemas import CERTIFICATE_ID, LONGEST_ID, Money, Schema, Status
from giftcert.domain.certificate.messages import LockVerification
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.idempotency import idempotency_key
from giftcert.security.data_keys import DataKey, Purpose
from giftcert.security.keyring import Keyring
from giftcert.security.tokens import Caller
from giftcert.settings import Settings
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Database
from giftcert.storage.guesses import Guess, GuessRepository, StoredCredentials
from giftcert.storage.idempotency import IdempotencyKey

router = APIRouter(tags=["spending"], route_class=AuthenticatedRoute)
NOBODY = UUID(int=0)
AT_ONCE = 16
"""Checks of one caller that a process makes at once: so few right pairs may come behind its last allowed wrong one."""
EndUser: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Giftcert-End-User",
        min_length=1,
        max_length=LONGEST_ID,
        description="An opaque id of the buyer who typed number and CVC: wrong pairs are counted for each.",
        examples=["session-5f0c9a52"],
    ),
]


class Credentials(Schema):
    """What the holder of a certificate shows. Never stored, never logged."""

    channel: str = Field(min_length=1, max_length=64, examples=["pos"])
    number: Secret[Annotated[str, StringConstraints(pattern="^[0-9]{12,19}$")]] = Field(
        examples=["0000000000000000"], json_schema_extra={"writeOnly": True}
    )
    cvc: Secret[Annotated[str, StringConstraints(pattern="^[0-9]{3,8}$")]] = Field(
        examples=["000000"], json_schema_extra={"writeOnly": True}
    )


class Verification(Schema):
    """Whether number and CVC belong together, and then how the certificate stands.

    A wrong number and a wrong CVC look the same.
    """

    valid: bool = Field(
        description="Number and CVC belong together; what may be spent, `status` and `balance` say",
        examples=[True],
    )
    certificate_id: UUID | None = Field(None, examples=[CERTIFICATE_ID])
    product: str | None = Field(None, examples=["GC-5000"])
    status: Status | None = Field(None, examples=["issued"])
    balance: Money | None = None
    held: Money | None = None
    valid_until: datetime | None = Field(None, examples=["2027-11-23T12:00:00Z"])


@router.post(
    "/certificates/verify",
    responses=may_answer(Problem.CHANNEL_NOT_ALLOWED, Problem.TOO_MANY_ATTEMPTS, has_body=True),
)
async def verify_certificate(call: ChannelCall, body: Credentials, end_user: EndUser = None) -> Verification:
    """Say whether number and CVC belong together, and then status and balance."""
    call.check_known_channel(body.channel)
    credentials = call.services.credentials
    guess = credentials.guess(call.caller, body, end_user, call.services.clock())
    found = await credentials.check(guess, body.cvc)
    if found is None:
        return Verification(valid=False)
    state = found.state
    view = {
        "valid": True,
        "certificate_id": found.certificate_id,
        "product": state.product,
        "status": state.shown_status,
        "balance": state.balance,
        "held": state.held,
        "valid_until": state.sale.valid_until if state.sale else None,
    }
    return Verification.model_validate(view, context=state.currency)


class CredentialCheck:
    """Checks number and CVC, and counts in the database what is wrong: for all processes, and across restarts (ADR 32).

    A right pair is looked up without a lock. A wrong one is judged again under the locks of its number and its guesser,
    so that no more are answered than the limits. One process checks the pairs of a number, and of an end user, in turn,
    else many sent at once would all be compared before the first is counted.
    """

    def __init__(self, database: Database, keyring: Keyring, seals: Seals, settings: Settings) -> None:
        self._database = database
        self._keyring = keyring
        self._seals = seals
        self._policy = settings.guess_policy
        self._nobodys_cvc = keyring.keep(DataKey.create()).seal(b"0" * 6, Purpose.CVC, NOBODY.bytes)
        self._in_turn: WeakValueDictionary[bytes, asyncio.Semaphore] = WeakValueDictionary()

    def guess(self, caller: Caller, shown: Credentials, end_user: str | None, now: datetime) -> Guess:
        """Return what is looked up and counted of a holder's pair: number and guesser as keyed hashes."""
        guesser = caller.subject if end_user is None else f"{caller.subject}\n{end_user}"
        return Guess(
            fingerprint=self._keyring.fingerprint(shown.number.get_secret_value()),
            caller=caller.subject,
            guesser=self._keyring.fingerprint(guesser),
            is_end_user=end_user is not None,
            channel=shown.channel,
            now=now,
        )

    async def check(
        self, guess: Guess, cvc: Secret[str], key: IdempotencyKey | None = None
    ) -> StoredCredentials | None:
        """Return what is stored of the certificate with this number and CVC, or ``None`` if the pair is wrong.

        429 where the number is locked, or caller or end user err too often. A call whose key has an answer is not
        checked again: that answer is in what is returned.
        """
        of_number = self._in_turn.setdefault(guess.fingerprint, asyncio.Semaphore(1))
        most = 1 if guess.is_end_user else AT_ONCE
        of_guesser = self._in_turn.setdefault(guess.guesser, asyncio.Semaphore(most))
        async with of_number, of_guesser:
            async with self._database.connection() as connection:
                stored = await GuessRepository(connection).find(guess, self._policy, key)
            if stored.remembered is not None:
                return stored
            self._check_may_guess(stored, guess)
            if await self._is_right(stored, cvc.get_secret_value()):
                return stored
            await self._count_wrong(guess)
        return None

    async def _count_wrong(self, guess: Guess) -> None:
        async with self._database.transaction() as connection:
            credentials = GuessRepository(connection)
            await credentials.lock(guess)
            stored = await credentials.find(guess, self._policy)
            self._check_may_guess(stored, guess)
            await credentials.count_wrong(guess, stored, self._policy)

    def _check_may_guess(self, stored: StoredCredentials, guess: Guess) -> None:
        """Refuse right and wrong pairs alike, so that the answer says nothing about the CVC."""
        wait = self._policy.retry_after(
            stored.lock, stored.of_guesser, guess.now, is_end_user=guess.is_end_user
        )
        if wait is not None:
            raise too_many(Problem.TOO_MANY_ATTEMPTS, wait)

    async def _is_right(self, stored: StoredCredentials, cvc: str) -> bool:
        """Open a seal and compare in any case: of a number that does not exist, nobody's."""
        sealed = stored.cvc_sealed if stored.cvc_sealed is not None else self._nobodys_cvc
        opened = await self._seals.open(sealed, Purpose.CVC, (stored.certificate_id or NOBODY).bytes)
        is_equal = hmac.compare_digest(opened, cvc.encode())
        return is_equal and stored.certificate_id is not None


async def record_locks(database: Database, lifecycle: Lifecycle, keyring: Keyring) -> None:
    """Record new locks on the stream, each once by all processes; not before the answer, whose time would reveal them.

    Only a number that exists has an event.
    """
    async with database.connection() as connection:
        locks = await GuessRepository(connection).unrecorded_locks()
    for lock in locks:
        if lock.certificate_id is not None:
            once = f"{lock.fingerprint.hex()} {lock.locked_at.isoformat()}"
            key = idempotency_key(keyring, "system", "lock", once, b"")
            message = LockVerification(attempts=lock.attempts, since=lock.since, channel=lock.channel)
            await lifecycle.act(lock.certificate_id, message, lock.locked_at, key=key)
        async with database.transaction() as connection:
            await GuessRepository(connection).lock_recorded(lock)
