"""A request as it is called: what it locks, what comes of it, what is remembered."""

from datetime import timedelta

import pytest

from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import DiscloseCvc, Request
from giftcert.domain.certificate.words import RejectionReason
from giftcert.lifecycle.requests import PATIENCE, Call, Outcome
from giftcert.storage.idempotency import Answer, IdempotencyKey
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.factories import CERTIFICATE, HOUR, NOON
from tests.unit.lifecycle.reviews import loaded, review_of

KEY = IdempotencyKey(b"caller and key", b"parameters", kept=True)
DISCLOSE = DiscloseCvc(disclosed_to="crm", purpose="letter", notification_id=None)


def call(request: Request | None = None, key: IdempotencyKey | None = KEY) -> Call:
    return Call(
        certificate_id=CERTIFICATE,
        request=request or make.hold(),
        now=NOON,
        key=key,
        answer_of=lambda outcome: {"status": outcome.state.shown_status},
    )


def concluded(made: Call, refusal: RejectionReason | None = None) -> tuple[Outcome, Answer | None]:
    """Return what comes of a call that nothing followed from, or that was refused."""
    review = review_of(loaded(), NOON + HOUR)
    decided = Decision(review.state, NOON, make.terms(), str)
    decided.refusal = refusal
    return made.conclude(review, decided)


def test_it_locks_its_certificate_and_the_order_that_it_speaks_of() -> None:
    wanted = call().to_lock("IM-1")
    assert (wanted.certificate_id, wanted.order_id, wanted.patience) == (CERTIFICATE, "IM-1", PATIENCE)
    assert (wanted.caller_key, wanted.answers_since) == (KEY.caller_key, NOON - timedelta(hours=24))
    assert call(key=None).to_lock().caller_key is None


def test_what_is_carried_out_is_remembered_under_the_key() -> None:
    outcome, answer = concluded(call())
    assert outcome.answer == b'{"status":"reserved"}'
    assert (outcome.state.status, outcome.product) == ("reserved", make.FIXED)
    assert answer is not None
    assert (answer.caller_key, answer.parameters, answer.kept) == (KEY.caller_key, KEY.parameters, True)
    assert (answer.answer, answer.answered_at) == ('{"status":"reserved"}', NOON + HOUR)


def test_a_call_whose_answer_nobody_makes_is_remembered_all_the_same() -> None:
    plain = Call(certificate_id=CERTIFICATE, request=make.hold(), now=NOON, key=KEY, answer_of=None)
    assert concluded(plain)[0].answer == b"{}"


def test_neither_a_refusal_nor_a_call_without_a_key_is_remembered() -> None:
    refused, answer = concluded(call(), RejectionReason.BLOCKED)
    assert (refused.refusal, refused.answer, answer) == (RejectionReason.BLOCKED, None, None)
    without, answer = concluded(call(key=None))
    assert (without.answer, answer) == (concluded(call())[0].answer, None)


@pytest.mark.parametrize(
    ("request_made", "refusal", "is_given"),
    [
        (DISCLOSE, None, True),
        (DISCLOSE, RejectionReason.BLOCKED, False),
        (make.hold(), None, False),
    ],
)
def test_only_a_disclosure_that_is_allowed_gives_the_sealed_secrets(
    request_made: Request, refusal: RejectionReason | None, is_given: bool
) -> None:
    sealed = concluded(call(request_made), refusal)[0].sealed
    assert (sealed is not None) is is_given
    if sealed is not None:
        assert (sealed.number_sealed, sealed.cvc_sealed) == (b"number", b"cvc")
