"""Folding the stream, as BI does: the checks that any reader can make."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

from simulators.figures import Figures
from simulators.purse import Purse
from simulators.stream import Event

_WITH_HOLDER = frozenset({"reserved", "ordered"})
_FINISHED = frozenset({"refunded", "expired", "retired"})


@dataclass(slots=True)
class CertificateFold:
    """One certificate as its events fold. Amounts in minor units."""

    status: str = "available"
    refund_state: str = "none"
    balance: int = 0
    held: int = 0
    nominal: int = 0
    digests: list[bytes] = field(default_factory=list)
    purse: Purse = field(default_factory=Purse)
    line: tuple[str, str] | None = None

    @property
    def sequence(self) -> int:
        """The highest sequence number seen."""
        return len(self.digests)


@dataclass(slots=True)
class Fold:
    """The stream so far. ``violations`` names everything that may not be."""

    certificates: dict[str, CertificateFold] = field(default_factory=dict)
    figures: Figures = field(default_factory=Figures)
    types: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    violations: list[str] = field(default_factory=list)
    _others: dict[str, bytes] = field(default_factory=dict)

    @property
    def liability(self) -> int:
        """What live certificates can still spend: balance and held."""
        live = (one for one in self.certificates.values() if one.status not in _FINISHED)
        return sum(one.balance + one.held for one in live)

    @property
    def held(self) -> int:
        """What open holds keep from being spent elsewhere."""
        return sum(one.held for one in self.certificates.values())

    def lines_held_twice(self) -> list[str]:
        """Return the order lines that have more than one live certificate.

        Only at rest: partitions are read in any order, so on the way a line may seem to have two.
        """
        holders = Counter(one.line for one in self.certificates.values() if one.line is not None)
        return [f"order line {line} has {count} certificates" for line, count in holders.items() if count > 1]

    def add(self, event: Event, content: bytes) -> bool:
        """Take in one event and say whether it is new; ``content`` is its record as it came."""
        digest = blake2b(content, digest_size=12).digest()
        if not self._is_new(event, digest):
            return False
        self.types[event.event_type] += 1
        self.figures.count(event)
        if event.certificate_id is not None and event.sequence is not None:
            self._follow(event, self.certificates[event.certificate_id])
        return True

    def _is_new(self, event: Event, digest: bytes) -> bool:
        if event.certificate_id is None or event.sequence is None:
            return self._is_new_beside(event, digest)
        certificate = self.certificates.setdefault(event.certificate_id, CertificateFold())
        if 1 <= event.sequence <= certificate.sequence:
            self._repeat(event, same=certificate.digests[event.sequence - 1] == digest)
            return False
        if event.sequence != certificate.sequence + 1:
            self._violated(event, f"sequence {event.sequence} follows {certificate.sequence}")
            missing = max(0, event.sequence - certificate.sequence - 1)
            certificate.digests.extend([b""] * missing)
        certificate.digests.append(digest)
        return True

    def _is_new_beside(self, event: Event, digest: bytes) -> bool:
        known = self._others.get(event.event_id)
        if known is None:
            self._others[event.event_id] = digest
            return True
        self._repeat(event, same=known == digest)
        return False

    def _repeat(self, event: Event, *, same: bool) -> None:
        self.repeats += 1
        if not same:
            self._violated(event, f"a repeat of sequence {event.sequence} has other content")

    def _follow(self, event: Event, certificate: CertificateFold) -> None:
        if event.event_type == "issue.reserved" and certificate.status in _WITH_HOLDER:
            self._violated(event, f"reserved again while {certificate.status}")
        if event.event_type == "issue.released" and certificate.status not in _WITH_HOLDER:
            self._violated(event, f"released while {certificate.status}")
        certificate.status = event.status or certificate.status
        certificate.refund_state = event.refund_state or certificate.refund_state
        self._follow_money(event, certificate)
        self._follow_line(event, certificate)

    def _follow_money(self, event: Event, certificate: CertificateFold) -> None:
        certificate.balance = event.balance.amount if event.balance else 0
        certificate.held = event.held.amount if event.held else 0
        certificate.nominal = event.nominal.amount if event.nominal else certificate.nominal
        spendable = certificate.balance + certificate.held
        if certificate.balance < 0 or certificate.held < 0 or spendable > certificate.nominal:
            self._violated(event, f"balance {certificate.balance}, held {certificate.held}")
        for fault in certificate.purse.follow(event):
            self._violated(event, fault)

    def _follow_line(self, event: Event, certificate: CertificateFold) -> None:
        if event.event_type == "issue.ordered":
            certificate.line = (event.text("orderId") or "", event.text("lineId") or "")
        elif event.event_type == "issue.released" or certificate.status in _FINISHED:
            certificate.line = None

    def _violated(self, event: Event, what: str) -> None:
        self.violations.append(f"{event.certificate_id or event.event_type}: {what} ({event.event_id})")
