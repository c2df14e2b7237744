"""What happened to a certificate. Public events go to the stream, private ones only change the state.

All of them are named by this module: ``from giftcert.domain import events as e``.
"""

from typing import TypeAlias

from giftcert.domain.private_events import *  # noqa: F403 - a list of names would only repeat what the module defines
from giftcert.domain.private_events import PrivateEvent
from giftcert.domain.public_events import *  # noqa: F403 - as above
from giftcert.domain.public_events import PublicEvent

Event: TypeAlias = PublicEvent | PrivateEvent
