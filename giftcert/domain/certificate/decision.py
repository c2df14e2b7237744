"""A decision: the events so far, and the state after each, so that rules see what earlier rules did."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.cases import with_changed_case
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.lines import with_changed_line, with_holder
from giftcert.domain.certificate.state import CertificateState, Line, LineRef, RefundCase, Sale
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.products import Product


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and the state after it."""

    event: PublicEvent
    cause: Cause | None  # the record on a topic that brought it about; None: time, or a request
    after: CertificateState


@dataclass(slots=True)
class Decision:
    """Collects what follows from one message; ``state`` is always that after all of it so far."""

    state: CertificateState
    now: datetime
    terms: Terms
    new_id: NewId
    cause: Cause | None = None  # of the message
    judges_line: bool = False  # the message is a line's standing: each event has a cause of its own
    refusal: StrEnum | None = None  # why a request was not carried out
    _recorded: list[Recorded] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        """The operator's choices."""
        return self.terms.policy

    @property
    def product(self) -> Product:
        """What the certificate is one of."""
        return self.terms.product

    @property
    def recorded(self) -> tuple[Recorded, ...]:
        """All events for the stream, in order."""
        return tuple(self._recorded)

    @property
    def public(self) -> tuple[PublicEvent, ...]:
        """The events alone."""
        return tuple(one.event for one in self._recorded)

    def record(self, *events: PublicEvent, cause: Cause | None = None) -> None:
        """Add events and fold each into the state at once; ``cause`` counts where a line is judged."""
        of = cause if self.judges_line else self.cause
        for event in events:
            self.state = evolve(self.state, event, self.now)
            self._recorded.append(Recorded(event, of, self.state))

    def change(self, state: CertificateState) -> None:
        """Set what no event carries; it completes what the last event says of the certificate."""
        self.state = with_holder(state)
        if self._recorded:
            self._recorded[-1] = replace(self._recorded[-1], after=self.state)

    def change_line(self, ref: LineRef, change: Callable[[Line], Line]) -> None:
        """Change what certificates have done with an order line."""
        self.change(with_changed_line(self.state, ref, change))

    def change_sale(self, change: Callable[[Sale], Sale]) -> None:
        """Change the current sale, whose nominal is the certificate's."""
        sale = self.state.sale and change(self.state.sale)
        self.change(replace(self.state, sale=sale, nominal=sale.nominal if sale else self.state.nominal))

    def change_case(self, refund_case_id: str, change: Callable[[RefundCase], RefundCase]) -> None:
        """Change a refund case of any sale."""
        self.change(with_changed_case(self.state, refund_case_id, change))
