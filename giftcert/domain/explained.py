"""Words that partners read as a reason: each with what it means, and what its reader can do.

A set of them is open: later versions may add words, and a reader shows one that it does not know as it is.
"""

from enum import StrEnum
from typing import Self


class ExplainedWord(StrEnum):
    """A word of the contract; ``explanation`` is what the specifications say of it."""

    explanation: str

    def __new__(cls, word: str, explanation: str = "") -> Self:
        """Make a member; as with every enum, one that is there is found by its word alone."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.explanation = explanation
        return member


class OneOf:
    """Metadata of an annotated text whose words are those of several sets."""

    def __init__(self, *sets: type[ExplainedWord]) -> None:
        self.sets = sets
