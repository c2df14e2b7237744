"""Rebuilds, in one transaction each, the certificates of which the stream has had more events than their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from giftcert.domain.certificate.state import Line
from giftcert.domain.policy import Policy, Terms
from giftcert.lifecycle.review import line_as_seen
from giftcert.recovery.certificate_history import UNKNOWN_CALLER, History, orders_of
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.database import Connection, Database
from giftcert.storage.decisions import DecisionWrite, write
from giftcert.storage.events import EventRepository
from giftcert.storage.order_lines import LineReport, OrderLineRepository
from giftcert.storage.recovery import RebuildRepository

_LOCK = "SELECT FROM certificates WHERE certificate_id = $1::uuid FOR NO KEY UPDATE"


@dataclass(slots=True)
class Rebuilding:
    """Rebuilds certificates; ``orders`` are those whose lines they concern, ``gaps`` the ones that lack an event."""

    database: Database
    policy: Policy
    now: datetime
    orders: set[str] = field(default_factory=set)
    gaps: list[str] = field(default_factory=list)

    async def rebuild(self, certificate_id: str) -> None:
        """Follow the events behind the row's number; where one in between is missing, leave all as it is."""
        async with self.database.transaction() as connection:
            stored = await CertificateRepository(connection).load(certificate_id)
            events = await EventRepository(connection).history(certificate_id, stored.sequence)
            expected = range(stored.sequence + 1, stored.sequence + 1 + len(events))
            if [one.sequence for one in events] != list(expected):
                self.gaps.append(certificate_id)
                return
            orders = orders_of(stored.state, events)
            await connection.fetch(_LOCK, certificate_id)
            rows = await OrderLineRepository(connection).lock(sorted(orders))
            lines = tuple(line_as_seen(row) for row in rows.values())
            history = History(replace(stored.state, lines=lines), Terms(stored.product, self.policy))
            history.follow(events)
            known = {line.ref: line for line in lines}
            changed = [
                (line, rows[line.ref].report) for line in history.state.lines if line != known[line.ref]
            ]
            await write(connection, self._decision(stored, history, changed))
            await _write_beside(connection, certificate_id, history)
            self.orders |= orders

    def _decision(
        self, stored: StoredCertificate, history: History, lines: Sequence[tuple[Line, LineReport]]
    ) -> DecisionWrite:
        """Return the write of a decision without events of its own; the certificate looks at itself at once."""
        return DecisionWrite(
            state=history.state,
            was=stored.state.shown_status,
            at=history.decided_at or self.now,
            version=stored.version,
            sequence=stored.sequence,
            records=(),
            next_instant=self.now,
            timer_at=None,
            run_key=stored.run_key,
            parked=stored.parked,
            lines=lines,
            pending=(),
            spendings=(),
            redemptions=history.state.redemptions,
            reservation_changed=False,
            resolution=None,
            disclosures=(),
            is_unlocked=False,
            answer=None,
        )


async def _write_beside(connection: Connection, certificate_id: str, history: History) -> None:
    repository, own = RebuildRepository(connection), history.state.reservation
    for ended in history.ended:  # first, as a certificate has one live reservation at most
        await repository.resolve(*ended)
    for one in history.reservations.values():
        who = (certificate_id, one.channel, UNKNOWN_CALLER)
        times = (one.reserved_at, one.reserved_until, one.resolved_at, one.resolution)
        await repository.reserve(one.reservation_id, *who, *times)
    for event, said in history.disclosures:
        whom = (said.disclosed_to, said.purpose, said.notification_id)
        await repository.disclose(certificate_id, *whom, event.occurred_at, event.sequence)
    is_new = own is not None and own.reservation_id in history.reservations
    reservation = (own.reservation_id, own.channel, own.reserved_at) if own and is_new else (None, None, None)
    await repository.number(certificate_id, history.sequence, history.available_since, *reservation)
    await repository.apply_spendings(certificate_id)
