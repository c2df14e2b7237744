"""What whoever lets texts in lets pass, verification never condemns: both ask the same check."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.notices import Content, about_input
from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import (
    CertificateState,
    LineRef,
    Redemption,
    RedemptionState,
    RefundCase,
    RefundState,
    Sale,
)
from giftcert.domain.certificate.words import ReleaseReason
from giftcert.domain.clients import Recipient
from giftcert.domain.numbers import number_from_digits
from giftcert.security.data_keys import DataKey, Purpose
from giftcert.security.keyring import Keyring
from giftcert.sensitive_text import is_sensitive
from giftcert.storage.certificates import encode_state
from giftcert.storage.database import Connection
from giftcert.storage.event_texts import EventTextRepository
from giftcert.storage.events import event_rows
from giftcert.storage.repository import as_json
from giftcert.verification.secrets import NumberSearch, may_hold_cvc, short_words
from tests.unit.domain.profiles import searched

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
CERTIFICATE_ID = "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f"
NUMBERS = [number_from_digits("453957876362148"), number_from_digits("70123456789")]  # of 16 and of 12 digits
CVC = "654321"
SEARCH = NumberSearch((12, 16))


def _written(number: str, separator: str, zero: int, before: str, behind: str) -> str:
    digits = [chr(zero + int(digit)) for digit in number]
    return before + separator.join(digits) + behind


AROUND = st.text(st.sampled_from("ax9 -.:\u0451\n") | st.characters(codec="utf-8"), max_size=3)
WRITTEN_NUMBERS = st.builds(
    _written,
    st.sampled_from(NUMBERS),
    st.sampled_from(["", " ", "-", ".", "\u00a0", " / ", "_", "\u200b", "x"]),
    st.sampled_from([0x30, 0x660, 0xFF10]),
    AROUND,
    AROUND,
)
WRITTEN_CVCS = st.builds("{}{}{}".format, AROUND, st.sampled_from([CVC, "\uff16\uff15\uff14321"]), AROUND)
TEXTS = (
    st.text(max_size=30)
    | WRITTEN_NUMBERS
    | WRITTEN_CVCS
    | st.sampled_from(["IM-1001", "anna@example.com", "+79211234567", "8 (921) 123-45-67", "pay-1"])
    | st.text(st.sampled_from("0123456789 -.+@a"), max_size=40)
)
EVENTS = st.one_of(
    st.builds(
        e.NotificationRequested,
        notification_id=st.just(CERTIFICATE_ID),
        kind=st.just("certificateIssued"),
        order_id=TEXTS,
        customer_id=TEXTS,
        recipient=st.builds(Recipient, TEXTS, TEXTS, TEXTS),
        preferred_channel=TEXTS,
        locale=TEXTS,
        valid_until=st.just(NOW),
        suppressed=st.booleans(),
    ),
    st.builds(
        e.Issued,
        order_id=TEXTS,
        line_id=TEXTS,
        amount=st.integers(0, 10**9),
        payment_ids=st.tuples(TEXTS, TEXTS),
        valid_until=st.just(NOW),
    ),
    st.builds(
        e.RefundResolved,
        refund_case_id=st.just(CERTIFICATE_ID),
        order_id=TEXTS,
        line_id=TEXTS,
        decision=st.just("approve"),
        amount=st.integers(0, 10**9),
        uncovered=st.integers(0, 10**9),
        resolved_by=TEXTS,
        note=TEXTS,
    ),
    st.builds(
        e.RedemptionCaptured,
        redemption_id=TEXTS,
        amount=st.integers(0, 10**9),
        order_id=TEXTS,
        payment_id=TEXTS,
        reason=st.none(),
    ),
    st.builds(e.OperatorActed, who=TEXTS, what=TEXTS),
    st.builds(e.UnexpectedMessage, reason=TEXTS, detail=TEXTS),
)


class Secrets:
    """Knows what the table of secrets knows."""

    def __init__(self, keyring: Keyring) -> None:
        self.known = {keyring.fingerprint(number) for number in NUMBERS}
        owner = UUID(CERTIFICATE_ID).bytes
        self.cvc = keyring.keep(DataKey.create()).seal(CVC.encode(), Purpose.CVC, owner)

    async def fetch(self, _statement: str, fingerprints: list[bytes]) -> list[tuple[bytes]]:
        return [(one,) for one in fingerprints if one in self.known]

    async def fetchval(self, _statement: str, _certificate_id: str) -> bytes:
        return self.cvc


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> EventTextRepository:
    folder: Path = tmp_path_factory.mktemp("keys")
    keyring = Keyring.create(folder / "keyring.json")
    return EventTextRepository(cast("Connection", Secrets(keyring)), keyring)


def condemned(json: str, **how: Any) -> set[str]:
    """What verification would name of a text: the numbers, and the CVC."""
    numbers = SEARCH.candidates(json.encode(), **how) & set(NUMBERS)
    return numbers | (short_words(json) & {CVC} if may_hold_cvc(json) else set())


@searched(400)
@given(event=EVENTS, event_id=TEXTS, channel=TEXTS)
async def test_no_event_is_written_that_verification_condemns(
    texts: EventTextRepository, event: Content, event_id: str, channel: str
) -> None:
    record = about_input(event, NOW, cause=Cause("All_Payments", event_id, NOW, channel), currency="RUB")
    [masked] = await texts.masked([record], CERTIFICATE_ID)
    assert condemned(as_json(masked.payload)) == set()
    assert SEARCH.candidates(event_rows([masked], CERTIFICATE_ID, 1).encode()) & set(NUMBERS) == set()


@searched(400)
@given(text=TEXTS)
def test_no_number_passes_those_who_let_texts_of_persons_in(text: str) -> None:
    if not is_sensitive(text):
        usual = {number for number in NUMBERS if len(number) == 16}
        assert SEARCH.candidates(as_json({"note": text}).encode()) & usual == set()


@searched(200)
@given(order=TEXTS, line=TEXTS, customer=TEXTS, payment=TEXTS, refund=TEXTS, redemption=TEXTS)
def test_the_true_ids_that_a_state_is_kept_under_are_not_condemned(
    order: str, line: str, customer: str, payment: str, refund: str, redemption: str
) -> None:
    case = RefundCase(refund_case_id="R", state=RefundState.REQUESTED, amount=1, refund_id=refund)
    sale = Sale(order_id=order, line_key=1, line_id=line, amount=1, customer_id=customer, cases=(case,))
    spent = Redemption(
        redemption_id=redemption, state=RedemptionState.CAPTURED, order_id=order, payment_id=payment
    )
    state = CertificateState(
        certificate_id=CERTIFICATE_ID,
        product="GC",
        currency="RUB",
        nominal=1,
        sale=sale,
        past_sales=(replace(sale, cases=()),),
        redemptions=(spent,),
        waits_for=(LineRef(order, 1),),
    )
    stored = encode_state(state).encode()
    assert SEARCH.candidates(stored, but_ids=True) & set(NUMBERS) == set()


async def test_the_same_text_gets_the_same_mask_and_another_one_another(texts: EventTextRepository) -> None:
    def record(order_id: str) -> EventRecord:
        return about_input(e.Released(reservation_id=None, order_id=order_id, reason=REASON), NOW)

    given = [record(NUMBERS[0]), record(NUMBERS[0]), record("anna@example.com"), record("4111111111111111")]
    said = [one.payload["orderId"] for one in await texts.masked(given)]
    assert said[0] == said[1] != said[2]
    assert said[0].startswith("[redacted ")
    assert said[3] == "4111111111111111"  # digits alone are what shops number orders with


REASON = ReleaseReason.UNPAID
