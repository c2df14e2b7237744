"""What happened to a certificate. Public events go to the stream, private ones only change the state.

All of them are named by this module: ``from giftcert.domain.certificate import events as e``.
"""

from dataclasses import dataclass
from typing import TypeAlias

from giftcert.domain.cause import Cause
from giftcert.domain.certificate.private_events import *  # noqa: F403 - a list of names would only repeat what the module defines
from giftcert.domain.certificate.private_events import PrivateEvent
from giftcert.domain.certificate.public_events import *  # noqa: F403 - as above
from giftcert.domain.certificate.public_events import PublicEvent

Event: TypeAlias = PublicEvent | PrivateEvent


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and the record on a topic that brought it about; ``None``: time, or a request."""

    event: Event
    cause: Cause | None
