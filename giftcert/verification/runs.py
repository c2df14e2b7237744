"""The open workflows, as far as a verification has to know them; whoever starts one says how to list them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The open workflow of a certificate; ``texts`` are the values of its search attributes."""

    certificate_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunToStart:
    """A certificate whose workflow shall run, and what support filters by."""

    certificate_id: str
    channel: str
    product: str
    status: str
    order_id: str | None
    refund_state: str


class OpenRuns(Protocol):
    """The workflows of certificates in Temporal."""

    def pages(self) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield all that are open, in pages of the visibility list, which lags a little behind."""

    def pages_of(self, certificate_ids: Sequence[str]) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield those of these certificates that are open."""

    async def is_open(self, certificate_id: str) -> bool:
        """Return whether a certificate has an open workflow now."""

    async def start(self, run: RunToStart) -> None:
        """Start the workflow of a certificate, unless it is open."""
