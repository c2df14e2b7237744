"""Numbers with their nouns, in English."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 certificate``, ``2,000 certificates``, ``no certificates``."""
    shown = f"{number:,}" if number else "no"
    return f"{shown} {noun if number == 1 else plural or f'{noun}s'}"
