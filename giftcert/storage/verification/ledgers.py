"""States of certificates of whose orders money went back."""

from collections.abc import Sequence

from giftcert.storage.verification.session import Session

_STATES = """
    SELECT state::text FROM certificates
    WHERE certificate_id = ANY($1::uuid[])
        AND jsonb_path_exists(state, '$.orders[*].payments[*] ? (@.kind == "refunded")')
"""


async def refunded_states(session: Session, certificate_ids: Sequence[str]) -> list[str]:
    """Return the stored states, as text, of those certificates whose orders know of a refund."""
    return [row[0] for row in await session.fetch(_STATES, certificate_ids)]
