"""A decision under way: the events so far, and the state after each, so that rules see what earlier rules did."""

from datetime import datetime

from giftcert.domain.events import Event
from giftcert.domain.evolve import evolve
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.products import Product
from giftcert.domain.state import CertificateState


class Decision:
    """Collects what follows from one message; ``state`` is always that after the last recorded event."""

    def __init__(self, state: CertificateState, now: datetime, terms: Terms, new_id: NewId) -> None:
        self.state = state
        self.now = now
        self.terms = terms
        self.new_id = new_id
        self.events: list[Event] = []

    @property
    def policy(self) -> Policy:
        """The operator's choices."""
        return self.terms.policy

    @property
    def product(self) -> Product:
        """What the certificate is one of."""
        return self.terms.product

    def record(self, *events: Event) -> None:
        """Add events and fold each into the state at once."""
        for event in events:
            self.state = evolve(self.state, event, self.now)
            self.events.append(event)
