"""Several certificates of one order, each told all of it, and what a person says of a refund at one of the others."""

from typing import Any

from giftcert.domain import events as e
from giftcert.domain import messages as m
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate


class Together:
    """The certificates of one order by their lines."""

    def __init__(self, *lines: m.Line, **terms: Any) -> None:
        self.lines = lines
        self.on = {line.line_id: self._sold(line.line_id, **terms) for line in lines if line.is_certificate}

    def _sold(self, line_id: str, **terms: Any) -> Certificate:
        found = Certificate(make.certificate(name=f"certificate-{line_id}"), make.terms(**terms))
        reservation = f"R-{line_id}"
        order = make.ordered(*self.lines, own=line_id, reservation_id=reservation)
        return found.tell(make.reserve(reservation), order)

    def tell(self, *messages: m.Message) -> "Together":
        for found in self.on.values():
            found.tell(*messages)
        return self

    def paid(self) -> "Together":
        return self.tell(make.captured(sum(line.amount for line in self.lines)))

    def resolve(self, line_id: str, decision: str = "approve", amount: int | None = None) -> Certificate:
        """A person decides the case of one line; the others are told what it says of the refund."""
        asked = self.on[line_id]
        asked.tell(make.resolve(asked.case.refund_case_id, decision, amount))
        said = [event for event in asked.last if isinstance(event, e.ShareAssigned) and event.here]
        for share in said:
            told = make.assigned(share.refund_id, share.line_id, share.amount)
            for found in self.on.values():
                if found is not asked:
                    found.tell(told)
        return asked

    def __getitem__(self, line_id: str) -> Certificate:
        return self.on[line_id]
