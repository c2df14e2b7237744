"""Identifiers that we make: UUIDv7 (RFC 9562), so that later ones sort later."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

NewId: TypeAlias = Callable[[], str]  # gives a fresh identifier at each call; the caller owns its randomness


def uuid7(moment: datetime, random_bits: int) -> str:
    """Return the UUIDv7 of an instant (millisecond precision) and 74 random bits, as text."""
    milliseconds = int(moment.timestamp() * 1000)
    high, low = (random_bits >> 62) & 0xFFF, random_bits & ((1 << 62) - 1)
    return str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low))
