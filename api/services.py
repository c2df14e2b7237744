"""What the endpoints work with; made once per process by ``api.main``."""

# ruff: noqa: TC004 - nothing evaluates these annotations, and the modules that they name find their services by this one

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Depends, Request

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from api.limits import CallLimit, ReservationCap
    from api.products import Catalogue
    from api.reservations import RefusedClaimLedger
    from api.verification import CredentialCheck
    from api.workflows import CertificateWorkflows
    from giftcert.clock import Clock
    from giftcert.domain.certificate.messages import Request as Message
    from giftcert.lifecycle.change import Lifecycle
    from giftcert.lifecycle.idempotency import CallsInProgress
    from giftcert.lifecycle.requests import AnswerOf, Outcome
    from giftcert.security import Keyring, TokenVerifier
    from giftcert.settings import Settings
    from giftcert.storage.certificates import LoadedCertificate
    from giftcert.storage.claim_queue import ClaimQueue
    from giftcert.storage.claims import ClaimRepository
    from giftcert.storage.idempotency import IdempotencyKey


@dataclass(frozen=True, slots=True)
class Services:
    """All that an endpoint may need."""

    settings: Settings
    clock: Clock
    engine: AsyncEngine
    lifecycle: Lifecycle
    claims: ClaimQueue
    past_claims: ClaimRepository
    claims_in_progress: CallsInProgress
    catalogue: Catalogue
    cap: ReservationCap
    refused_claims: RefusedClaimLedger
    disclosures_by_caller: CallLimit
    disclosures_by_certificate: CallLimit
    workflows: CertificateWorkflows
    keyring: Keyring
    credentials: CredentialCheck
    tokens: TokenVerifier

    async def act(
        self,
        certificate_id: str,
        message: Message,
        *,
        key: IdempotencyKey | None = None,
        answer: AnswerOf | None = None,
        seen: LoadedCertificate | None = None,
    ) -> Outcome:
        """Carry a request out in one transaction, then wake the workflows that it concerns.

        ``answer`` makes the outcome's answer, which is remembered under the key.

        Raises:
            UnknownCertificateError: there is no such certificate.
            IdempotencyMismatchError: the key came with other parameters before.
            IdempotencyBusyError: the first call under the key is still running.
        """
        outcome = await self.lifecycle.act(
            certificate_id, message, self.clock(), key=key, answer=answer, seen=seen
        )
        self.workflows.wake(outcome.wakes)
        return outcome


async def services_of(request: Request) -> Services:
    """Return the services of the application that answers this request."""
    services: Services = request.app.state.services
    return services


CurrentServices: TypeAlias = Annotated[Services, Depends(services_of)]
