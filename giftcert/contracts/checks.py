"""What a message must satisfy beyond its shape. A broken check raises ``MalformedRecord`` and names the field."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from giftcert.contracts.malformed import MalformedRecord

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def in_utc(instant: datetime, field: str) -> datetime:
    """Return the instant in UTC; one outside 2000 to 2199 is a producer's mistake, and deadlines would overflow."""
    if not _EARLIEST <= instant < _LATEST:
        raise MalformedRecord("invalidField", f"{field}: expected an instant between 2000 and 2199")
    return instant if instant.tzinfo is UTC else instant.astimezone(UTC)


def require_known_channel(channel: str, channels: tuple[str, ...]) -> None:
    """Refuse a channel that is not configured: no worker would lead its certificates."""
    if channel not in channels:
        raise MalformedRecord("unknownChannel", f"channel: expected one of {', '.join(channels)}")


def require_distinct(ids: Iterable[str | None], reason: str, field: str) -> None:
    """Refuse an identifier that stands twice in a list."""
    named = [one for one in ids if one is not None]
    if len(set(named)) != len(named):
        raise MalformedRecord(reason, f"{field}: named twice")


def require_sound_text(value: bytes, record: msgspec.Struct) -> None:
    """Refuse a NUL character, which PostgreSQL cannot keep in text; looked for where the bytes hint at one."""
    if b"\\u0000" in value and _has_nul(msgspec.to_builtins(record)):
        raise MalformedRecord("invalidField", "value: expected text without NUL characters")


def _has_nul(value: Any) -> bool:  # noqa: ANN401 - any decoded JSON
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, value.values()))
    return isinstance(value, list | tuple) and any(map(_has_nul, value))
