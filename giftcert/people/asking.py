"""How people's acts reach a certificate's workflow, whichever door they come through."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from giftcert.domain.state import CertificateState
from workflows.requests import Answer, Request

Ask: TypeAlias = Callable[[str, str, Callable[[datetime], Request]], Awaitable[Answer]]
"""Asks the workflow of a certificate, on the queue of a channel, for what is made of the instant to decide before."""


def queue_of(state: CertificateState, channels: Sequence[str]) -> str:
    """Return the channel on whose task queue the workflow runs if it has to be started; one that is still served."""
    reserved_by = state.reservation.channel if state.reservation else None
    sold_by = state.past_sales[-1].channel if state.past_sales else None
    named = (state.sale_channel, sold_by, reserved_by)
    return next((one for one in named if one in channels and one is not None), channels[0])
