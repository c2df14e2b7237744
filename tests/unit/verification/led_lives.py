"""Certificates that the domain led through random lives, as verification finds them."""

from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.lives import Move, begin, message_of


def led(life: tuple[Move, ...]) -> Certificate:
    """Lead a certificate, in whose world there is another one."""
    found = begin()
    for step in life:
        message = message_of(found, step)
        if message is not None:
            found.tell(message)
    return found
