"""Leads certificates by what is pending for them, as their workflows do, on the one transaction, without Temporal.

The clock is held, so that two runs of the same messages may be compared whole.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.policy import Policy
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.database import Database
from tests.integration.kafka_ingest.ingest_store import NOON
from tests.named_values import query

_PENDING = "SELECT DISTINCT certificate_id::text FROM pending ORDER BY 1"
_EVENTS = "SELECT event_type, payload FROM events WHERE certificate_id = CAST(:id AS uuid) ORDER BY sequence"
ROUNDS = 10
"""Certificates of one order may make each other pending; more often than this they would go on for ever."""


@dataclass
class Leading:
    """The workflows of all certificates that have something to decide."""

    database: Database
    keyring: Keyring
    clock: datetime = NOON

    @property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(
            self.database, Policy(), self.keyring, web_url=lambda _: "http://temporal", build="1"
        )

    async def lead(self) -> None:
        """Let all certificates decide all that is pending for them."""
        lifecycle = self.lifecycle
        for _ in range(ROUNDS):
            waiting = await self._pending()
            if not waiting:
                return
            for certificate_id in waiting:
                await lifecycle.advance(certificate_id, self.clock)
        raise AssertionError(f"still pending: {await self._pending()}")

    async def state(self, certificate_id: str) -> CertificateState:
        """The state as it is stored."""
        async with self.database.connection() as connection:
            return (await CertificateRepository(connection).load(certificate_id)).state

    async def _pending(self) -> list[str]:
        async with self.database.connection() as connection:
            return [row["certificate_id"] for row in await connection.fetch(_PENDING)]


async def recorded(database: Database, certificate_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The public events of a certificate, as (type, payload), in sequence."""
    async with database.connection() as connection:
        rows = await query(connection, _EVENTS, id=certificate_id)
        return [(row["event_type"], row["payload"]) for row in rows]
