from dataclasses import replace

import msgspec
import pytest

from giftcert.storage.certificates import decode_state, encode_state
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent


@pytest.mark.parametrize(
    "found",
    [
        Certificate(),
        reserved(),
        sold(),
        spent(100_000).tell(make.hold(50_000, "D-2")),
        issued(make.goods(), make.gift()).tell(make.returned()),
    ],
)
def test_a_stored_state_is_read_back_whole(found: Certificate) -> None:
    assert decode_state(encode_state(found.state)) == replace(found.state, lines=())


def test_order_lines_are_not_part_of_what_is_stored() -> None:
    found = sold()
    loaded = found.world.loaded(found.name)

    assert loaded.lines
    assert decode_state(encode_state(loaded)).lines == ()


def test_a_field_added_since_has_its_default_and_one_that_is_gone_is_left_out() -> None:
    state = make.certificate()
    stored = msgspec.json.encode(
        {
            "certificate_id": state.certificate_id,
            "product": state.product,
            "currency": state.currency,
            "nominal": state.nominal,
            "colour": "red",
        }
    )

    assert decode_state(stored.decode()) == state


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_state('{"certificate_id": "c"}')
