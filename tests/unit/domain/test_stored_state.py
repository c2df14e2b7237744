"""Every state that a life reaches is the same after it was stored, and so are the messages that led there."""

from hypothesis import given

from giftcert.contracts.codec import decode_message, decode_state, encode_message, encode_state
from tests.unit.domain.certificates import Certificate
from tests.unit.domain.lives import Move, lives, message_of
from tests.unit.domain.profiles import searched


@searched(100)
@given(lives)
def test_states_and_messages_survive_storage(life: tuple[Move, ...]) -> None:
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is not None:
            assert decode_message(encode_message(message)) == message
            found.tell(message)
        assert decode_state(encode_state(found.state)) == found.state
