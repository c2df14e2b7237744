"""Support: decides refunds that wait for a person, blocks and unblocks certificates.

``python -m simulators.support`` lists what waits; ``--decide approve`` decides all of it so.
"""

import argparse
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from uuid import uuid4

import msgspec

from simulators.addresses import Addresses
from simulators.money import money_text
from simulators.programs import run
from simulators.service import Money, Service, open_service


class RefundCase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A refund that waits, with what a person needs to decide it."""

    refund_case_id: str
    certificate_id: str
    order_id: str
    reason: str | None
    amount: Money
    balance: Money
    since: datetime
    allowed_decisions: tuple[str, ...]


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    items: list[RefundCase]
    next: str | None = None


class NoSuchCaseError(Exception):
    """No refund of this certificate waits for a person."""


class Support:
    """A person of support at the API."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def waiting(self) -> AsyncIterator[RefundCase]:
        """Yield the refunds that wait for a person, oldest first."""
        after: str | None = None
        while True:
            asked = {"state": "pendingDetails", **({"after": after} if after else {})}
            reply = await self.service.call("GET", "/refunds", params=asked)
            page = msgspec.json.decode(reply.content, type=_Page)
            for case in page.items:
                yield case
            if page.next is None:
                return
            after = page.next

    async def case_of(self, certificate_id: str) -> RefundCase:
        """Return the refund of a certificate that waits.

        Raises:
            NoSuchCaseError: there is none.
        """
        async for case in self.waiting():
            if case.certificate_id == certificate_id:
                return case
        raise NoSuchCaseError(f"no refund of certificate {certificate_id} waits for a person")

    async def decide(self, case: RefundCase, decision: str, note: str) -> None:
        """Approve or reject a refund; what is approved takes as much as the balance gives."""
        decided = {"decision": decision, "note": note}
        await self._act(f"/refunds/{case.refund_case_id}/resolution", decided)

    async def block(self, certificate_id: str, reason: str) -> None:
        """Stop spending and disclosure."""
        await self._act(f"/certificates/{certificate_id}/block", {"reason": reason})

    async def unblock(self, certificate_id: str, reason: str) -> None:
        """Lift a block."""
        await self._act(f"/certificates/{certificate_id}/unblock", {"reason": reason})

    async def write_again(self, certificate_id: str) -> None:
        """Have CRM write to the client once more: the letter never came, or is lost."""
        await self._act(f"/certificates/{certificate_id}/notifications", None)

    async def _act(self, path: str, what: Mapping[str, object] | None) -> None:
        await self.service.call("POST", path, json=what, key=str(uuid4()))


async def work(addresses: Addresses, decision: str | None) -> None:
    """Show every refund that waits, and decide it if a decision is given."""
    async with open_service(addresses, "support") as service:
        support = Support(service)
        for case in [case async for case in support.waiting()]:
            amount = money_text(case.amount.amount, case.amount.currency)
            print(f"{case.refund_case_id}: {case.order_id}, {case.reason}, {amount}")  # noqa: T201
            if decision in case.allowed_decisions:
                await support.decide(case, decision, "decided by the simulated support")


def main() -> None:
    """Read the options and go through what waits once."""
    parser = argparse.ArgumentParser(prog="python -m simulators.support", description=__doc__)
    parser.add_argument("--decide", choices=("approve", "reject"), default=None)
    options = parser.parse_args()
    run(lambda addresses: work(addresses, options.decide))


if __name__ == "__main__":
    main()
