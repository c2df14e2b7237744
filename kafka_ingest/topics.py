"""What ingest has to know of the topics' names and the channels to read a record."""

from dataclasses import dataclass

from giftcert.settings import Settings


@dataclass(frozen=True, slots=True)
class Topics:
    """The three input topics, and the channels whose orders can be led."""

    orders: str
    payments: str
    clients: str
    channels: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "Topics":
        """Return the topics of the settings."""
        return cls(settings.topic_orders, settings.topic_payments, settings.topic_clients, settings.channels)

    @property
    def names(self) -> tuple[str, str, str]:
        """All three."""
        return self.orders, self.payments, self.clients
