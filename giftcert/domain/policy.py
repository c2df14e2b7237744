"""Deadlines of the lifecycle and other choices of the operator, as the rules see them."""

from dataclasses import dataclass, field
from datetime import timedelta

from giftcert.domain.clients import Client
from giftcert.domain.products import Product


@dataclass(frozen=True, slots=True)
class Policy:
    """Intervals of the lifecycle. An instant granted from one is carried and never moves with it. Minor units."""

    clock_skew: timedelta = timedelta(minutes=5)
    unpaid_after_order: timedelta = timedelta(hours=72)
    unpaid_after_authorization: timedelta = timedelta(days=7)
    unpaid_after_void: timedelta = timedelta(hours=2)
    refund_capture_wait: timedelta = timedelta(hours=24)
    refund_allocation_wait: timedelta = timedelta(hours=24)
    refund_payment_wait: timedelta = timedelta(days=7)
    cancelled_without_refund_after: timedelta = timedelta(days=7)
    notification_wait: timedelta = timedelta(hours=24)
    refund_stuck_after: timedelta = timedelta(hours=24)
    escalation_factor: float = 2.0
    escalation_longest: timedelta = timedelta(days=30)
    certificates_buy_certificates: bool = False
    direct_spend_channels: tuple[str, ...] = ()  # may spend up to direct_spend_cap without a hold
    direct_spend_cap: int = 0
    refund_four_eyes_over: int | None = None  # a greater refund takes two persons

    def escalation(self, alerts_sent: int) -> timedelta:
        """Return the wait after so many alerts: each longer than the one before, up to the longest."""
        seconds = self.refund_stuck_after.total_seconds() * self.escalation_factor ** min(alerts_sent, 64)
        return timedelta(seconds=min(seconds, self.escalation_longest.total_seconds()))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a decision about one certificate rests on besides its state and the message."""

    product: Product
    policy: Policy = field(default_factory=Policy)
    web_url: str | None = None
    clients: tuple[Client, ...] = ()  # the buyer's chain of merges
