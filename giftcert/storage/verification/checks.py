"""A check is one question: its rows are what breaks an invariant. Their columns say what, and what was expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.verification.session import QUERY_SECONDS, Session

MOST_ROWS = 1_000
"""Of one question; more are counted."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question about one invariant. ``kind`` is what its subjects are: certificates, products, orders, inputs.

    The statement returns the columns ``subject``, ``about``, ``expected`` and ``seen``.
    """

    invariant: int
    rule: str
    kind: str
    statement: str


@dataclass(frozen=True, slots=True)
class Deviation:
    """One answer; ``about`` tells several of one rule and subject apart."""

    subject: str
    about: str
    expected: str
    seen: str


@dataclass(frozen=True, slots=True)
class Deviations:
    """The answers of one check, at most ``MOST_ROWS``, and how many there are in all."""

    check: Check
    rows: tuple[Deviation, ...]
    count: int


class CheckRepository:
    """Asks checks."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def ask(self, check: Check, *parameters: Sequence[str] | datetime | int) -> Deviations:
        """Return what breaks the rule."""
        statement = (
            f"SELECT *, count(*) OVER () AS of_all FROM ({check.statement}) AS found LIMIT {MOST_ROWS}"  # noqa: S608
        )
        rows = await self._session.fetch(statement, *parameters, timeout=QUERY_SECONDS)
        found = (Deviation(row["subject"], row["about"], row["expected"], row["seen"]) for row in rows)
        return Deviations(check, tuple(found), rows[0]["of_all"] if rows else 0)

    async def count(self, statement: str, *parameters: Sequence[str] | datetime) -> Sequence[int]:
        """Return the figures of a counting statement."""
        row = await self._session.fetchrow(statement, *parameters, timeout=QUERY_SECONDS)
        return tuple(row or ())
