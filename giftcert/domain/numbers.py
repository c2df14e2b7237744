"""Certificate numbers (ISO/IEC 7812 check digit) and card verification codes (CVC)."""

from stdnum import luhn


def number_from_digits(digits: str) -> str:
    """Return the number that these secret digits make, its last digit the Luhn check digit."""
    return digits + luhn.calc_check_digit(digits)


def mask(last_four: str, length: int = 16) -> str:
    """Return the only form in which a number may be shown: ``************1234``."""
    return "*" * (length - len(last_four)) + last_four
