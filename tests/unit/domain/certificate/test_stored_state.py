"""Every state that a life reaches is the same after it was stored, but for the rows of its lines."""

from dataclasses import replace

from hypothesis import given

from giftcert.storage.certificates import decode_state, encode_state
from tests.unit.domain.certificate.lives import Move, led, lives
from tests.unit.domain.profiles import searched


@searched(100)
@given(lives)
def test_states_survive_storage(life: tuple[Move, ...]) -> None:
    for one in led(life).world.decided:
        state = one.decision.state
        assert decode_state(encode_state(state)) == replace(state, lines=())
