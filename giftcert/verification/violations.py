"""What a verification found: the ten invariants of the lifecycle, how much was checked for each, what breaks it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from giftcert.storage.verification.checks import Violation

KEPT = 1_000
"""Violations of one invariant that are named; more are counted."""

MOST_REPAIRED = 100_000
"""The same where they are to be repaired: some hundred bytes each."""

INVARIANTS: dict[int, str] = {
    1: "Certificates over all statuses are those that were made, per product",
    2: "A certificate has at most one live reservation or order; a reservation is resolved once",
    3: "An order line has at most one live certificate, a certificate at most one paid order line",
    4: "Refunded is at most captured, else a refund case says so; balance and held lie within the nominal",
    5: "Folding the stream gives the database's status, balance, held and refund state, and each snapshot",
    6: "Sequences have no gap, and no repeat with other content",
    7: "No number and no CVC stands in clear",
    8: "A disclosure record precedes every disclosed CVC, and the certificate allowed it",
    9: "Every input is folded, a repeat, or reported; every changed standing is decided, pending, or parked",
    10: "Every event goes back to a record of a topic, a request, or an instant that had passed",
}
UNITS = {
    1: ("product", "products"),
    6: ("event", "events"),
    7: ("text", "texts"),
    8: ("disclosure", "disclosures"),
    9: ("input or line", "inputs and lines"),
    10: ("event", "events"),
}
"""What is checked by an invariant, if not certificates: one, and several."""


@dataclass(slots=True)
class Findings:
    """What was checked, and what was found: at most ``named`` violations of an invariant by name, all by count."""

    named: int = KEPT
    checked: dict[int, int] = field(default_factory=lambda: dict.fromkeys(INVARIANTS, 0))
    counts: dict[int, int] = field(default_factory=lambda: dict.fromkeys(INVARIANTS, 0))
    unchecked: list[str] = field(default_factory=list)
    _kept: dict[str, Violation] = field(default_factory=dict)

    @property
    def violations(self) -> list[Violation]:
        """The violations that are named, by invariant."""
        return sorted(self._kept.values(), key=lambda one: one.invariant)

    @property
    def hold(self) -> bool:
        """Whether all invariants hold."""
        return not any(self.counts.values())

    @property
    def are_all_named(self) -> bool:
        """Whether none was only counted."""
        return sum(self.counts.values()) == len(self._kept)

    def check(self, count: int, *invariants: int) -> None:
        """Count what was checked for these invariants."""
        for invariant in invariants:
            self.checked[invariant] += count

    def add(self, violation: Violation) -> None:
        """Take in a violation; one that was taken in before counts once."""
        if violation.key in self._kept:
            return
        self.counts[violation.invariant] += 1
        if self.counts[violation.invariant] <= self.named:
            self._kept[violation.key] = violation

    def add_all(self, violations: Iterable[Violation]) -> None:
        """Take in several."""
        for violation in violations:
            self.add(violation)

    def add_uncounted(self, invariant: int, count: int) -> None:
        """Count violations that are not named."""
        self.counts[invariant] += count
