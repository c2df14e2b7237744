"""What the endpoints work with; made once per process by ``api.main``."""

# ruff: noqa: TC004 - nothing evaluates these annotations, and the modules that they name find their services by this one

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
from fastapi import Request

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from api.authentication import CheckedTokens
    from api.limits import CallLimit, ReservationCap
    from api.products import Catalogue
    from api.reservations import RefusedClaimLedger
    from api.verification import CredentialCheck
    from api.workflows import CertificateWorkflows
    from giftcert.clock import Clock
    from giftcert.domain.certificate.messages import Request as Message
    from giftcert.lifecycle.change import Lifecycle
    from giftcert.lifecycle.idempotency import CallsInProgress, IdempotencyKey
    from giftcert.lifecycle.requests import AnswerOf, Outcome
    from giftcert.security import Keyring
    from giftcert.settings import Settings
    from giftcert.storage.certificates import LoadedCertificate
    from giftcert.storage.claim_queue import ClaimQueue
    from giftcert.storage.claims import ClaimRepository


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
    tokens: CheckedTokens

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

        ``answer`` makes what is remembered under the key; with a key or without, it is the outcome's answer.

        Raises:
            UnknownCertificateError: there is no such certificate.
            IdempotencyMismatchError: the key came with other parameters before.
            IdempotencyBusyError: the first call under the key is still running.
        """
        outcome = await self.lifecycle.act(
            certificate_id, message, self.clock(), key=key, answer=answer, seen=seen
        )
        self.workflows.wake(outcome.wakes)
        if outcome.answer is None and outcome.refusal is None and answer is not None:  # without a key
            return replace(outcome, answer=msgspec.json.encode(answer(outcome)))
        return outcome


def services_of(request: Request) -> Services:
    """Return the services of the application that answers this request."""
    services: Services = request.app.state.services
    return services
