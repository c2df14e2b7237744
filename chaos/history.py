"""History of reservations and redemptions: each operation with the instants of its call and its answer.

``chaos.checker`` has it checked for linearizability.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Operation:
    """What was asked of a certificate, and answered. Amounts are minor units.

    ``kind``: ``reserve`` and ``release`` (``subject`` is the reservation); ``hold``, ``void`` and ``capture`` (the
    redemption), ``spend`` without a hold, ``restore``, ``refuse`` for a balance below ``amount``, and ``read`` of
    balance (``amount``) and ``held``. Without ``answered`` it took effect at some time after the call.
    """

    certificate_id: str
    kind: str
    subject: str
    called: int
    answered: int | None = None
    amount: int = 0
    held: int = 0


@dataclass(slots=True)
class History:
    """The operations of all partners, on one clock."""

    operations: list[Operation] = field(default_factory=list)
    clock: Callable[[], int] = time.monotonic_ns

    def begin(self) -> int:
        """Return the instant of a call; a call that nobody answers leaves no operation, and its certificate a fault."""
        return self.clock()

    def end(
        self, called: int, certificate_id: str, kind: str, subject: str, amount: int = 0, held: int = 0
    ) -> None:
        """Note what was answered."""
        self.operations.append(Operation(certificate_id, kind, subject, called, self.clock(), amount, held))

    def open(self, certificate_id: str, kind: str, subject: str, amount: int = 0) -> None:
        """Note what was written to a topic: it is done at some time from now on."""
        self.operations.append(Operation(certificate_id, kind, subject, self.clock(), None, amount))
