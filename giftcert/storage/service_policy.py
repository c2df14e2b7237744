"""The policy by which the running service decides: recorded by the API, read by commands that decide (ADR 60)."""

from datetime import datetime

import msgspec

from giftcert.domain.policy import Policy
from giftcert.storage.database import Connection
from giftcert.storage.repository import as_json

_RECORD = """
    INSERT INTO service_policy (policy, recorded_at) VALUES ($1::jsonb, $2)
    ON CONFLICT (is_only) DO UPDATE SET policy = excluded.policy, recorded_at = excluded.recorded_at
"""
_READ = "SELECT policy FROM service_policy"


async def record_policy(connection: Connection, policy: Policy, now: datetime) -> None:
    """Record the policy of the service that starts, in place of that of the one before."""
    await connection.execute(_RECORD, as_json(policy), now)


async def recorded_policy(connection: Connection) -> Policy | None:
    """Return the policy of the service that started last; ``None`` where none has on this database."""
    stored = await connection.fetchval(_READ)
    return None if stored is None else msgspec.json.decode(stored, type=Policy)
