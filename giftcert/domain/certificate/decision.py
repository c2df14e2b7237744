"""A decision: the events so far, and the state after each, so that rules see what earlier rules did."""

from datetime import datetime
from enum import StrEnum

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import Event, PublicEvent, Recorded
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.products import Product


class Decision:
    """Collects what follows from one message; ``state`` is always that after the last recorded event.

    ``refusal`` says why a request was not carried out. ``judges_line``: the message is how a line stands, so that each
    event has the part of the standing as its cause; else ``cause`` is that of the message.
    """

    def __init__(
        self,
        state: CertificateState,
        now: datetime,
        terms: Terms,
        new_id: NewId,
        *,
        cause: Cause | None = None,
        judges_line: bool = False,
    ) -> None:
        self.state = state
        self.now = now
        self.terms = terms
        self.new_id = new_id
        self.refusal: StrEnum | None = None
        self._cause = cause
        self._judges_line = judges_line
        self._recorded: list[Recorded] = []
        self._states: list[CertificateState] = []

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
        """All that followed, public and private, in order."""
        return tuple(self._recorded)

    @property
    def count(self) -> int:
        """How much followed so far."""
        return len(self._recorded)

    @property
    def states(self) -> tuple[CertificateState, ...]:
        """The state after each of them."""
        return tuple(self._states)

    @property
    def public(self) -> tuple[PublicEvent, ...]:
        """What the stream will tell."""
        return tuple(one.event for one in self._recorded if isinstance(one.event, PublicEvent))

    def record(self, *events: Event, cause: Cause | None = None) -> None:
        """Add events and fold each into the state at once.

        Args:
            *events: what happened.
            cause: of the part of a line's standing that brought it about; it counts where a line is judged.
        """
        of = cause if self._judges_line else self._cause
        for event in events:
            self.state = evolve(self.state, event, self.now)
            self._recorded.append(Recorded(event, of))
            self._states.append(self.state)
