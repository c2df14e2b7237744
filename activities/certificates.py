"""The two activities of a certificate's workflow: load it, and carry out one transition."""

from hashlib import sha256

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.transition import (
    APPLY_TRANSITION,
    LOAD_CERTIFICATE,
    Loaded,
    Outcome,
    Transition,
    TransitionAnswer,
)
from giftcert.contracts.identity import join
from giftcert.domain.messages import RefundAssigned
from giftcert.domain.policy import Policy, Terms
from giftcert.settings import Settings
from giftcert.storage.certificates import (
    CertificateRepository,
    LineHeldError,
    Locked,
    UnknownCertificateError,
)
from giftcert.storage.events import EventRepository
from giftcert.storage.redemptions import RedemptionRepository
from giftcert.storage.refund_shares import RefundShareRepository


class CertificateActivities:
    """Activities on one process's connections. Each is idempotent: run twice, it has the effect of once."""

    def __init__(self, engine: AsyncEngine, settings: Settings, build: str = "") -> None:
        self._engine = engine
        self._settings = settings
        self._build = join(build, _fingerprint(settings.policy))

    @activity.defn(name=LOAD_CERTIFICATE)
    async def load_certificate(self, certificate_id: str) -> Loaded:
        """Return the stored certificate with its terms.

        Raises:
            ApplicationError: there is no such certificate; not to be tried again.
        """
        async with self._engine.connect() as connection:
            return await self._load(connection, certificate_id)

    @activity.defn(name=APPLY_TRANSITION)
    async def apply_transition(self, transition: Transition) -> TransitionAnswer:
        """Commit a transition whole: state, version, applied keys and events; or say why not.

        Raises:
            ApplicationError: there is no such certificate; not to be tried again.
            DBAPIError: PostgreSQL is away; Temporal tries again.
        """
        try:
            async with self._engine.begin() as connection:
                return await self._apply(connection, transition)
        except LineHeldError:
            return await self._line_held(transition)

    async def _apply(self, connection: AsyncConnection, transition: Transition) -> TransitionAnswer:
        certificates = CertificateRepository(connection)
        locked = await self._lock(certificates, transition)
        if locked.applied or locked.version != transition.expected_version:
            return await self._decide_again(connection, transition, locked)
        instant = transition.caught_up_beyond
        if instant is not None and not await certificates.is_caught_up(
            transition.certificate_id, instant, transition.keys
        ):
            return TransitionAnswer(outcome=Outcome.NOT_CAUGHT_UP, version=locked.version)
        said = await self._said_elsewhere(connection, transition)
        if said:
            return TransitionAnswer(outcome=Outcome.ASSIGNED_ELSEWHERE, version=locked.version, assigned=said)
        version = await certificates.change(transition.state, transition.keys, transition.at)
        await RedemptionRepository(connection).store(transition.certificate_id, transition.redemptions)
        if transition.events:
            await EventRepository(connection).append(transition.certificate_id, transition.events)
        return TransitionAnswer(outcome=Outcome.APPLIED, version=version, build=self._build)

    async def _said_elsewhere(
        self, connection: AsyncConnection, transition: Transition
    ) -> tuple[RefundAssigned, ...]:
        """Agree with the order's other certificates on the shares of a refund; return what has to be heard first."""
        if not transition.assigned:
            return ()
        return await RefundShareRepository(connection).agree(transition.state, transition.assigned)

    async def _lock(self, certificates: CertificateRepository, transition: Transition) -> Locked:
        try:
            return await certificates.lock(transition.certificate_id, transition.keys)
        except UnknownCertificateError as error:
            raise _unknown(transition.certificate_id) from error

    async def _decide_again(
        self, connection: AsyncConnection, transition: Transition, locked: Locked
    ) -> TransitionAnswer:
        outcome = Outcome.ALREADY_APPLIED if locked.applied else Outcome.STALE
        current = await self._load(connection, transition.certificate_id)
        return TransitionAnswer(
            outcome=outcome, version=locked.version, current=current, applied_keys=locked.applied
        )

    async def _line_held(self, transition: Transition) -> TransitionAnswer:
        async with self._engine.connect() as connection:
            holder = await CertificateRepository(connection).line_holder(transition.state)
            return TransitionAnswer(outcome=Outcome.LINE_HELD, holder=holder)

    async def _load(self, connection: AsyncConnection, certificate_id: str) -> Loaded:
        try:
            stored = await CertificateRepository(connection).load(certificate_id)
        except UnknownCertificateError as error:
            raise _unknown(certificate_id) from error
        return Loaded(
            state=stored.state,
            version=stored.version,
            terms=Terms(stored.product, self._settings.policy, self._settings.workflow_url(certificate_id)),
            number_sealed=stored.number_sealed,
            cvc_sealed=stored.cvc_sealed,
            build=self._build,
        )


def _fingerprint(policy: Policy) -> str:
    """Changed intervals count as a newer deployment: who it wakes goes on in a new run, which loads them."""
    return sha256(msgspec.json.encode(policy)).hexdigest()[:8]


def _unknown(certificate_id: str) -> ApplicationError:
    return ApplicationError(
        f"no certificate {certificate_id} in the database", type="UnknownCertificate", non_retryable=True
    )
