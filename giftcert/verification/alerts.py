"""Reports violations on the stream: each once while it stands, under the certificate, product or input it is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.contracts.notices import (
    InvariantViolated,
    about_certificate,
    about_input,
    about_product,
    input_key,
)
from giftcert.settings import Settings
from giftcert.storage.certificates import CertificateRepository, UnknownCertificateError
from giftcert.storage.events import EventRepository
from giftcert.storage.known_violations import KnownViolationRepository
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.verification.violations import INVARIANTS, Findings, Violation

REPORTED_AT_ONCE = 100
"""Of one invariant in one run; the rest is reported by the runs that follow, if it still stands."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """Reports what a verification found."""

    engine: AsyncEngine
    settings: Settings

    async def report(self, findings: Findings, now: datetime, *, whole: bool) -> int:
        """Report what is new; what a verification of everything no longer finds is reported again when it comes back.

        Args:
            findings: of one verification.
            now: the instant of this report.
            whole: whether everything was looked at.

        Returns:
            How many alerts there are.
        """
        async with self.engine.begin() as connection:
            keys = [_key(one) for one in findings.violations]
            known = await KnownViolationRepository(connection).seen_again(keys, now)
        reported = [await self._report(one, now) for one in _first_of_each(findings, known)]
        if whole and findings.are_all_named:
            async with self.engine.begin() as connection:
                await KnownViolationRepository(connection).forget_not_seen_since(now)
        return sum(reported)

    async def _report(self, violation: Violation, now: datetime) -> bool:
        async with self.engine.begin() as connection:
            if not await KnownViolationRepository(connection).note(_key(violation), now):
                return False
            await self._append(connection, violation, now)
        return True

    async def _append(self, connection: AsyncConnection, violation: Violation, now: datetime) -> None:
        notice = self._notice(violation)
        if violation.kind == "certificate" and await self._of_certificate(connection, violation, notice, now):
            return
        events = EventRepository(connection)
        if violation.kind == "product":
            await events.append_keyed(violation.subject, [about_product(notice, violation.subject, now)])
            return
        of_input = violation.kind == "input"
        key = violation.subject if of_input else input_key(self.settings.topic_stream, 0)
        await events.append_keyed(key, [about_input(notice, now)])

    async def _of_certificate(
        self, connection: AsyncConnection, violation: Violation, notice: InvariantViolated, now: datetime
    ) -> bool:
        """Report under the certificate; return ``False`` where just what is wrong with it does not let that be."""
        try:
            async with connection.begin_nested():
                stored = await CertificateRepository(connection).load(violation.subject)
                record = about_certificate(notice, stored.state, now)
                await EventRepository(connection).append(violation.subject, [record])
        except (*DATABASE_ERRORS, UnknownCertificateError, ValueError):
            return False
        return True

    def _notice(self, violation: Violation) -> InvariantViolated:
        of_certificate = violation.kind == "certificate"
        return InvariantViolated(
            invariant=violation.invariant,
            rule=violation.rule,
            subject=f"{violation.kind} {violation.subject}",
            detail=f"{INVARIANTS[violation.invariant]}: expected {violation.expected}; seen {violation.seen}",
            web_url=self.settings.workflow_url(violation.subject) if of_certificate else None,
        )


def _key(violation: Violation) -> str:
    return msgspec.json.encode(violation.key).decode()


def _first_of_each(findings: Findings, known: set[str]) -> Iterator[Violation]:
    left = dict.fromkeys(INVARIANTS, REPORTED_AT_ONCE)
    for one in findings.violations:
        if _key(one) not in known and left[one.invariant] > 0:
            left[one.invariant] -= 1
            yield one
