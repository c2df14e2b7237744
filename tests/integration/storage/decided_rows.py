"""A certificate whose order lines and other work are written by hand, and decisions on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import SpendingKind, SpendingReported
from giftcert.domain.order.standing import LineStanding, NamedBy, Naming
from giftcert.storage.certificates import (
    Connection,
    LoadedCertificate,
    LockRequest,
    load_locked,
    lock,
)
from giftcert.storage.decisions import DecisionWrite
from tests.integration.storage.pool_rows import Tables

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
CAUSE = Cause("All_SalesOrder", "so-1", NOW, "im")
A_SECOND = timedelta(seconds=1)


def request(certificate_id: str, **more: Any) -> LockRequest:
    return LockRequest(
        certificate_id=certificate_id, answers_since=NOW - timedelta(days=1), patience=A_SECOND, **more
    )


def naming(certificate_id: str) -> Naming:
    named_by = NamedBy(version=1, cause=CAUSE, applied_at=NOW, reservation_id=None)
    return Naming(certificate_id=certificate_id, began=named_by, terms=named_by)


def standing(certificate_id: str, order_id: str, line_key: int) -> LineStanding:
    """A line that is ordered and not paid."""
    said: dict[str, Any] = {
        "order_id": order_id,
        "line_key": line_key,
        "line_id": str(line_key),
        "currency": "RUB",
        "channel": "im",
        "customer_id": "C-1",
        "naming": naming(certificate_id),
        "amount": 500_000,
        "price": 500_000,
        "missing": 500_000,
        "listed": True,
    }
    nothing = {"bool": False, "int": 0}
    rest = {
        field.name: () if str(field.type).startswith("tuple") else nothing.get(_name(field.type))
        for field in fields(LineStanding)
    }
    return LineStanding(**rest | said)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


class Rows:
    """A certificate whose order lines and other work are written by hand."""

    def __init__(self, tables: Tables, certificate_id: str) -> None:
        self._tables = tables
        self.certificate_id = certificate_id

    async def line(self, order_id: str = "IM-1", line_key: int = 1, **columns: Any) -> None:
        await self._tables.run(
            "INSERT INTO orders (order_id, aggregate) VALUES (:order_id, '') ON CONFLICT DO NOTHING",
            order_id=order_id,
        )
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", :{name}" for name in columns)
        await self._tables.run(
            f"""INSERT INTO order_lines (order_id, line_key, line_id, standing{names})
                VALUES (:order_id, :line_key, '1', CAST(:standing AS jsonb){values})""",  # noqa: S608 - of the test
            order_id=order_id,
            line_key=line_key,
            standing=msgspec.json.encode(standing(self.certificate_id, order_id, line_key)).decode(),
            **columns,
        )

    async def pending(self, order_id: str = "IM-1", line_key: int = 1) -> None:
        await self._tables.run(
            """INSERT INTO pending (certificate_id, order_id, line_key, kind, channel)
                VALUES (CAST(:id AS uuid), :order_id, :line_key, 'order_created', 'im')
                ON CONFLICT (certificate_id, order_id, line_key) DO UPDATE SET number = nextval('pending_number')""",
            id=self.certificate_id,
            order_id=order_id,
            line_key=line_key,
        )

    async def spending(self, identity: str) -> None:
        spending = SpendingReported(
            cause=CAUSE,
            kind=SpendingKind.CAPTURED,
            order_id="POS-1",
            payment_id="P-1",
            redemption_id=None,
            amount=100,
            currency="RUB",
        )
        await self._tables.run(
            """INSERT INTO spendings (identity, content, certificate_id, message)
                VALUES (:identity, '', CAST(:id AS uuid), CAST(:message AS jsonb))""",
            identity=identity,
            id=self.certificate_id,
            message=msgspec.json.encode(spending).decode(),
        )


@asynccontextmanager
async def transaction(tables: Tables) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(tables.url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def loaded(tables: Tables, certificate_id: str, **more: Any) -> LoadedCertificate:
    async with transaction(tables) as connection:
        wanted = request(certificate_id, **more)
        return await load_locked(connection, wanted, await lock(connection, wanted))


def decision(found: LoadedCertificate, **changes: Any) -> DecisionWrite:
    unchanged: dict[str, Any] = {
        "state": found.stored.state,
        "was": found.stored.state.shown_status,
        "at": NOW,
        "version": found.stored.version,
        "sequence": found.stored.sequence,
        "records": (),
        "next_instant": None,
        "timer_at": None,
        "run_key": None,
        "parked": (),
        "lines": (),
        "pending": (),
        "spendings": (),
        "redemptions": (),
        "reservation_changed": False,
        "resolution": None,
        "disclosures": (),
        "is_unlocked": False,
        "answer": None,
    }
    return DecisionWrite(**unchanged | changes)
