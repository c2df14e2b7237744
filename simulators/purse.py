"""The money of one certificate, kept beside the balances on the stream, from the amounts in its events alone."""

from dataclasses import dataclass, field

from simulators.stream import Event

_FOLLOWS_MONEY = frozenset({"issued", "partiallyRedeemed", "redeemed"})


@dataclass(slots=True)
class Purse:
    """What a certificate holds by its events. ``holds`` and ``spent`` are per redemption, in minor units."""

    balance: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    _is_wrong: bool = False

    @property
    def held(self) -> int:
        """What open holds keep from being spent elsewhere."""
        return sum(self.holds.values())

    @property
    def status(self) -> str:
        """The status that the money gives a certificate in the buyer's hands; a hold alone changes none."""
        if not any(self.spent.values()):
            return "issued"
        return "partiallyRedeemed" if self.balance or self.held else "redeemed"

    def follow(self, event: Event) -> list[str]:
        """Take in the next event of the certificate and return what in it does not fit, the first time."""
        found = [*self._take(event), *self._differences(event)]
        if self._is_wrong:
            return []  # all that follows would only repeat it
        self._is_wrong = bool(found)
        return found

    def _differences(self, event: Event) -> list[str]:
        stated = tuple(money.amount if money else 0 for money in (event.balance, event.held))
        faults = []
        if stated != (self.balance, self.held):
            faults.append(
                f"balance {stated[0]}, held {stated[1]}, by its events {self.balance} and {self.held}"
            )
        if event.status in _FOLLOWS_MONEY and event.status != self.status:
            faults.append(f"{event.status}, by its money {self.status}")
        return faults

    def _take(self, event: Event) -> list[str]:
        match event.event_type:
            case "issue.completed":
                self.balance = event.nominal.amount if event.nominal else 0
            case "redemption.authorized":
                return self._authorized(event)
            case "redemption.captured":
                return self._captured(event)
            case "redemption.voided":
                return self._voided(event)
            case "redemption.restored":
                return self._restored(event)
            case "refund.completed" if not event.payload.get("beforeIssue"):
                self.balance -= event.amount("taken")
            case "audit.expired":
                self.balance -= event.amount("breakage")
            case "audit.retired":
                self.balance = 0
            case _:
                pass  # the others move no money
        return []

    def _authorized(self, event: Event) -> list[str]:
        redemption_id, amount = _redemption(event), event.amount("amount")
        known = redemption_id in self.holds or redemption_id in self.spent
        self.balance -= amount
        self.holds[redemption_id] = self.holds.get(redemption_id, 0) + amount
        return [f"{redemption_id} is held twice"] if known else []

    def _captured(self, event: Event) -> list[str]:
        """Out of the hold, the rest of which is free; without one, out of the balance."""
        redemption_id, amount = _redemption(event), event.amount("amount")
        hold = self.holds.pop(redemption_id, None)
        self.balance += (hold or 0) - amount
        self.spent[redemption_id] = self.spent.get(redemption_id, 0) + amount
        return [f"{amount} is spent of {hold} held"] if hold is not None and amount > hold else []

    def _voided(self, event: Event) -> list[str]:
        amount, hold = event.amount("amount"), self.holds.pop(_redemption(event), 0)
        self.balance += hold
        return [] if amount == hold else [f"{amount} is given back of {hold} held"]

    def _restored(self, event: Event) -> list[str]:
        redemption_id, amount = _redemption(event), event.amount("amount")
        spent = self.spent.get(redemption_id, 0)
        self.balance += amount
        self.spent[redemption_id] = max(0, spent - amount)
        return [] if amount <= spent else [f"{amount} is restored of {spent} spent"]


def _redemption(event: Event) -> str:
    return event.text("redemptionId") or ""
