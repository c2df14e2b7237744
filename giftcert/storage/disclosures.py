"""Disclosures of CVCs: decided and recorded under the certificate's lock, before the secret is opened."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from giftcert.contracts.notices import CvcDisclosed, CvcRefused, about_certificate
from giftcert.domain.disclosure import DisclosureRefusal, refuse_disclosure
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.events import EventRepository

_RECORD = text("""
    INSERT INTO disclosures
        (disclosure_id, certificate_id, disclosed_to, purpose, notification_id, disclosed_at, sequence)
    VALUES (:disclosure_id, :certificate_id, :disclosed_to, :purpose, :notification_id, :at, :sequence)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureRequest:
    """Who wants to know the CVC of which certificate, and what for."""

    certificate_id: UUID
    disclosed_to: str
    purpose: str
    notification_id: str | None


@dataclass(frozen=True, slots=True)
class DisclosureDecision:
    """The certificate as it stood under the lock; the CVC may be given only if ``refusal`` is ``None``."""

    stored: StoredCertificate
    refusal: DisclosureRefusal | None


class DisclosureRepository:
    """Decides and records disclosures; the caller owns the transaction, and opens the seal after its commit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def decide(self, request: DisclosureRequest, now: datetime) -> DisclosureDecision:
        """Decide under the certificate's lock, and record the disclosure or its refusal.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        certificates = CertificateRepository(self._connection)
        await certificates.lock(str(request.certificate_id), ())
        stored = await certificates.load(str(request.certificate_id))
        refusal = refuse_disclosure(stored.state)
        if refusal is None:
            await self._record(request, stored, now)
        else:
            await self._refuse(request, stored, refusal, now)
        return DisclosureDecision(stored, refusal)

    async def _record(self, request: DisclosureRequest, stored: StoredCertificate, now: datetime) -> None:
        told = CvcDisclosed(
            disclosed_to=request.disclosed_to,
            purpose=request.purpose,
            notification_id=request.notification_id,
        )
        sequence = await self._tell(request, stored, told, now)
        values = {
            "disclosure_id": uuid7(),
            "certificate_id": request.certificate_id,
            "disclosed_to": request.disclosed_to,
            "purpose": request.purpose,
            "notification_id": request.notification_id,
            "at": now,
            "sequence": sequence,
        }
        await self._connection.execute(_RECORD, values)

    async def _refuse(
        self, request: DisclosureRequest, stored: StoredCertificate, refusal: DisclosureRefusal, now: datetime
    ) -> None:
        told = CvcRefused(
            disclosed_to=request.disclosed_to,
            purpose=request.purpose,
            notification_id=request.notification_id,
            reason=refusal.value,
        )
        await self._tell(request, stored, told, now)

    async def _tell(
        self,
        request: DisclosureRequest,
        stored: StoredCertificate,
        told: CvcDisclosed | CvcRefused,
        now: datetime,
    ) -> int:
        record = about_certificate(told, stored.state, now)
        return await EventRepository(self._connection).append(str(request.certificate_id), [record])
