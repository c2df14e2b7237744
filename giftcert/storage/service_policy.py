"""The policy by which the running service decides: recorded by the API, read by commands that decide (ADR 60)."""

from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.policy import Policy

_RECORD = text("""
    INSERT INTO service_policy (policy, recorded_at) VALUES (CAST(:policy AS jsonb), :now)
    ON CONFLICT (is_only) DO UPDATE SET policy = excluded.policy, recorded_at = excluded.recorded_at
""")
_READ = text("SELECT policy::text FROM service_policy")


async def record_policy(connection: AsyncConnection, policy: Policy, now: datetime) -> None:
    """Record the policy of the service that starts, in place of that of the one before."""
    values = {"policy": msgspec.json.encode(policy).decode(), "now": now}
    await connection.execute(_RECORD, values)


async def recorded_policy(connection: AsyncConnection) -> Policy | None:
    """Return the policy of the service that started last; ``None`` where none has on this database."""
    stored = (await connection.execute(_READ)).scalar_one_or_none()
    return None if stored is None else msgspec.json.decode(stored, type=Policy)
