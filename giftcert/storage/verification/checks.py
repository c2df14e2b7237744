"""Rules of the ten invariants, what breaks one, and the rules that a statement checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.verification.session import QUERY_SECONDS, Session

MOST_ROWS = 1_000
"""Of one check; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that breaks an invariant.

    ``kind`` says what ``subject`` is: a certificate, product, order, input, event, topic. ``about`` tells several of
    one rule and subject apart and never changes while the violation stands; ``expected`` and ``seen`` are for people.
    """

    invariant: int
    rule: str
    kind: str
    subject: str
    about: str = ""
    expected: str
    seen: str

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What is the same as long as this violation stands."""
        return self.invariant, self.rule, self.subject, self.about

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: expected {self.expected}; seen {self.seen}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one invariant demands. ``kind`` is what its subjects are: certificates, products, orders, inputs."""

    invariant: int
    name: str
    kind: str

    def broken(self, subject: str, about: str, expected: str, seen: str) -> Violation:
        """Return the violation of this rule; for the texts see there."""
        return Violation(
            invariant=self.invariant,
            rule=self.name,
            kind=self.kind,
            subject=subject,
            about=about,
            expected=expected,
            seen=seen,
        )


@dataclass(frozen=True, slots=True)
class Check(Rule):
    """A rule whose statement returns what breaks it: ``subject``, ``about``, ``expected`` and ``seen`` of each."""

    statement: str


class CheckRepository:
    """Runs the statements of checks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def ask(
        self, check: Check, *parameters: Sequence[str] | datetime | int
    ) -> tuple[list[Violation], int]:
        """Return what breaks the rule, at most ``MOST_ROWS``, and how many there are in all."""
        statement = (
            f"SELECT *, count(*) OVER () AS of_all FROM ({check.statement}) AS found LIMIT {MOST_ROWS}"  # noqa: S608
        )
        rows = await self._session.fetch(statement, *parameters, timeout=QUERY_SECONDS)
        found = [check.broken(row["subject"], row["about"], row["expected"], row["seen"]) for row in rows]
        return found, rows[0]["of_all"] if rows else 0

    async def count(self, statement: str, *parameters: Sequence[str] | datetime) -> Sequence[int]:
        """Return the figures of a counting statement."""
        row = await self._session.fetchrow(statement, *parameters, timeout=QUERY_SECONDS)
        return tuple(row or ())
