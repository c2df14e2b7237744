"""What a run decides again when another change of its certificate came first."""

from tests.unit.domain import factories as make
from workflows.plan import Received, before_deadlines


def test_what_came_while_a_deadline_was_decided_is_applied_before_it() -> None:
    remembered = Received(make.authorized(), make.NOON)
    came = Received(make.spending(), make.NOON + make.HOUR)
    deadline = Received(make.hold_lapsed(), make.NOON + make.HOUR, due=make.NOON + make.HOUR)
    assert before_deadlines([remembered, deadline], [came]) == [remembered, came, deadline]
