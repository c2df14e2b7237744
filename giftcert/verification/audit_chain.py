"""The audit chain, compared with itself and with the recorded events: what was changed, removed or inserted."""

from collections.abc import Iterator
from dataclasses import dataclass

from giftcert.security.keyring import Keyring
from giftcert.storage.audit_chain import BEGINNING, Link, event_mac, seal_of
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.session import RecordedEvent, Session
from giftcert.verification.pace import Pace
from giftcert.verification.violations import Findings

EVENT_CHANGED = Rule(10, "changed")
EVENT_UNLINKED = Rule(10, "unlinked")
LINK_CHANGED = Rule(10, "linkChanged", "link")
LINK_MISSING = Rule(10, "linkMissing", "link")


@dataclass(slots=True)
class ChainCheck:
    """Reads the chain before the events, then compares each event with what its link says.

    Maintenance goes on meanwhile: an event that had no link when the reading began, or was not committed, may have
    none.
    """

    session: Session
    keyring: Keyring
    findings: Findings
    pace: Pace
    is_read: bool = False

    async def read(self) -> int:
        """Check every link, and take in which events they hold; return how many there are."""
        number, seal = 0, BEGINNING
        while page := await self.session.links(number):
            for link in page:
                self._check(link, number, seal)
                number, seal = link.number, link.seal
                await self.pace.pause()
            await self.session.add_linked(page)
        self.is_read = True
        return number

    def _check(self, link: Link, last: int, before: bytes) -> None:
        self.findings.check(1, 10)
        if link.number != last + 1:
            missing = f"{last + 1}" if link.number == last + 2 else f"{last + 1} to {link.number - 1}"
            self.findings.add(LINK_MISSING.broken(missing, "", "a link of the audit chain", "none"))
        elif seal_of(self.keyring, link, before) != link.seal:
            seen = f"another seal; number of events linked at {link.linked_at}: {len(link.event_ids)}"
            self.findings.add(LINK_CHANGED.broken(f"{link.number}", "", "as it was sealed", seen))

    def differs(self, event: RecordedEvent, *, committed: bool) -> Iterator[tuple[Rule, str, str]]:
        """Yield what is wrong about an event; ``committed``: it surely was before the reading began."""
        if not self.is_read:
            return
        if event.macs:
            mac = event_mac(self.keyring, event.stored)
            if any(one != mac for one in event.macs):
                yield EVENT_CHANGED, "as it was linked into the audit chain", "other content"
        elif committed and not event.unlinked:
            yield EVENT_UNLINKED, "in a link of the audit chain", "in none, and it does not wait for one"
