"""A requirement that is not met: of which server, what is wrong, and whose it is to mend."""

from dataclasses import dataclass
from enum import StrEnum


class Maker(StrEnum):
    """Whoever makes, or mends, what is needed."""

    MIGRATE = "giftcert migrate"
    SETUP = "giftcert setup"
    ORDERS = "Orders"
    PAYMENTS = "Payments"
    CRM = "CRM"
    DATABASE = "whoever runs PostgreSQL"
    KAFKA = "whoever runs Kafka"
    TEMPORAL = "whoever runs Temporal"
    MACHINES = "whoever runs the machines"


@dataclass(frozen=True, slots=True)
class Finding:
    """``stops``: without it nothing at all can be done, rather than slowly or not for ever."""

    server: str
    subject: str
    wrong: str
    maker: Maker
    stops: bool = False

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.subject} {self.wrong}: {self.maker}"
