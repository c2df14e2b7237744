"""What support reads of a certificate in the Web UI: why it waits, what each decision would do, and where to decide."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from giftcert.domain.certificate.state import (
    CertificateState,
    LineRef,
    Redemption,
    RedemptionState,
    RefundCase,
    RefundState,
    Status,
)
from giftcert.domain.certificate.words import Awaited, RefundReason
from giftcert.lifecycle.details import Details, Wording, wording_of
from giftcert.lifecycle.visibility import names
from giftcert.settings import Settings
from giftcert.texts import LANGUAGES, Language, texts_in
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, sold, spent
from tests.unit.domain.certificate.refund_reasons import ASKED
from tests.unit.lifecycle.one_sale import ISSUED, NOON, ORDERED, SALE

HOLD = Redemption(
    redemption_id="r-1",
    state=RedemptionState.AUTHORIZED,
    order_id="POS-1",
    held=100_000,
    expires_at=NOON + timedelta(minutes=30),
)
CASE = RefundCase(
    refund_case_id="case-1",
    state=RefundState.PENDING_DETAILS,
    amount=1,
    reason=RefundReason.CERTIFICATE_BLOCKED,
)


def page(refund_case_id: str) -> str:
    return f"https://crm.example/refunds/{refund_case_id}"


def seen(state: CertificateState, next_instant: datetime | None = NOON, language: Language = "en") -> Details:
    return Details(state, next_instant, NOON, make.terms(), Wording(texts_in(language), page))


def of(found: Certificate, language: Language = "en") -> list[str]:
    """The paragraphs about a certificate of the domain's tests."""
    state, wording = found.world.loaded(found.name), Wording(texts_in(language), page)
    return Details(state, NOON, found.clock, found.terms, wording).text().split("\n\n")


def decisions(paragraphs: list[str]) -> list[str]:
    (listed,) = (one for one in paragraphs if one.startswith("- **"))
    return listed.splitlines()


# An ordinary life ---------------------------------------------------------------------------------


def test_all_of_an_issued_certificate_stands_in_short_paragraphs() -> None:
    assert seen(ISSUED).text().split("\n\n") == [
        "**GC-5000** is **issued**. It waits for the end of its validity.",
        "Order IM-1, line 2, price 4,500.00 RUB.",
        "Balance 5,000.00 RUB, held 0.00 RUB, nominal 5,000.00 RUB.",
        "It looks at itself again on 2026-11-23 12:00 UTC.",
    ]


def test_the_same_in_russian() -> None:
    assert seen(ISSUED, language="ru").text().replace("\N{NO-BREAK SPACE}", " ").split("\n\n") == [
        "Сертификат **GC-5000**: **выпущен (issued)**. Ждёт окончания срока действия.",
        "Заказ IM-1, строка 2, цена 4 500,00 RUB.",
        "Остаток 5 000,00 RUB, удержано 0,00 RUB, номинал 5 000,00 RUB.",
        "Следующая проверка: 23.11.2026 12:00 UTC.",
    ]


def test_the_settings_choose_language_and_page() -> None:
    chosen = wording_of(
        Settings(_env_file=None, language="ru", refund_page_url="https://crm.example/{refundCaseId}")
    )
    assert (chosen.texts.language, chosen.refund_page("c-1")) == ("ru", "https://crm.example/c-1")


def test_an_order_waits_for_its_payment() -> None:
    assert "is **ordered**. It waits for the payment of its order." in seen(ORDERED).text()


def test_a_hold_is_described_with_whom_it_is_for() -> None:
    text = seen(replace(ISSUED, redemptions=(HOLD,), balance=400_000, held=100_000)).text()
    assert "It waits for the purchase that holds a part of it." in text
    assert "Order POS-1 holds 1,000.00 RUB until 2026-11-23 12:30 UTC (redemption r-1)." in text


def test_a_hold_of_which_no_end_is_known_is_described_without_one() -> None:
    endless = replace(HOLD, expires_at=None)
    text = seen(replace(ISSUED, redemptions=(endless,), balance=0, held=100_000)).text()
    assert "Order POS-1 holds 1,000.00 RUB (redemption r-1)." in text


def test_a_certificate_that_waits_for_a_line_says_so() -> None:
    waiting = replace(ORDERED, status=Status.RESERVED, sale=None, waits_for=(LineRef("IM-1", 1),))
    assert "It waits for another certificate to leave its order line." in seen(waiting, None).text()


def test_a_refunded_certificate_waits_for_nothing() -> None:
    text = seen(replace(ISSUED, status=Status.REFUNDED, balance=0), None).text()
    assert text.startswith("**GC-5000** is **refunded**. It waits for nothing.")


def test_the_timer_says_in_the_history_what_it_is_for() -> None:
    assert seen(ORDERED).waiting_for() == "waits for the payment of its order"
    assert seen(ORDERED, language="ru").waiting_for() == "ждёт оплаты заказа"


# Refunds that need nobody yet ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "text"),
    [
        (
            lambda: issued().tell(make.returned()),
            (
                "the line was returned or cancelled, and 5,000.00 RUB has to go back to the buyer."
                " Unless that changes by 2026-11-30 12:00 UTC, a person is asked."
            ),
        ),
        (
            lambda: sold().tell(make.refunded(to={"2": 500_000})),
            (
                "5,000.00 RUB went back to the buyer before the payment itself was reported."
                " Unless that changes by 2026-11-24 12:00 UTC, a person is asked."
            ),
        ),
        (
            lambda: sold().tell(make.captured(300_000), make.refunded(100_000)),
            (
                "1,000.00 RUB went back to the buyer, and it is not said for which line."
                " Unless that changes by 2026-11-24 12:00 UTC, a person is asked."
            ),
        ),
        (
            lambda: sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000})),
            (
                "1,000.00 RUB went back to the buyer, which is not the whole price of the line."
                " Unless that changes by 2026-11-30 12:00 UTC, a person is asked."
            ),
        ),
    ],
)
def test_a_refund_says_what_it_waits_for_and_until_when(begin: Callable[[], Certificate], text: str) -> None:
    found = begin()
    paragraphs = of(found)
    assert "It waits for the money of a refund." in paragraphs[0]
    assert f"Refund case {found.case.refund_case_id} of order IM-1001: {text}" in paragraphs


def test_an_approved_refund_says_what_it_will_take() -> None:
    found = issued().tell(make.returned()).wait(7 * make.DAY)
    found.tell(make.resolve(found.case.refund_case_id))
    assert found.case.awaiting is Awaited.PAYMENT
    text = "\n".join(of(found))
    assert "It is approved: once the money is back, up to 5,000.00 RUB leaves the balance." in text


# Refunds that a person decides --------------------------------------------------------------------

WHY = {
    RefundReason.CERTIFICATE_REDEEMED: "to the buyer, who has spent 1,000.00 RUB of the certificate.",
    RefundReason.REDEMPTION_IN_PROGRESS: "5,000.00 RUB went back to the buyer while a purchase holds 2,000.00 RUB",
    RefundReason.CERTIFICATE_EXPIRED: "but the certificate expired on 2027-11-23 12:00 UTC.",
    RefundReason.CERTIFICATE_BLOCKED: "5,000.00 RUB went back to the buyer, but the certificate is blocked.",
    RefundReason.AMOUNT_MISMATCH: "2,000.00 RUB went back to the buyer, but the line cost 5,000.00 RUB",
    RefundReason.REFUND_PAYMENT_MISSING: "but its 5,000.00 RUB has not gone back to the buyer in time.",
    RefundReason.ALLOCATION_MISSING: "RUB went back to the buyer of the order, and nobody said for which line.",
    RefundReason.EXCEEDS_CAPTURED: "this case is about 6,000.00 RUB, and 5,000.00 RUB was paid for the line.",
    RefundReason.ALREADY_REFUNDED: "the price of the line, 5,000.00 RUB, had been refunded before.",
    RefundReason.NOT_CAPTURED: "5,000.00 RUB went back to the buyer, but no payment for this line was ever reported.",
    RefundReason.CURRENCY_MISMATCH: "The refund of 60.00 EUR has money in another currency than the sale, RUB",
}
DECISIONS = {
    RefundReason.CERTIFICATE_REDEEMED: [
        (
            "- **Approve**: 4,000.00 RUB leaves the balance, and the certificate is void."
            " 1,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
            " To take less, add `--amount` with the sum."
        ),
        (
            "- **Reject**: nothing leaves the balance, and the certificate works again with 4,000.00 RUB."
            " 5,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
        ),
    ],
    RefundReason.AMOUNT_MISMATCH: [
        (
            "- **Approve**: 2,000.00 RUB leaves the balance, 3,000.00 RUB stays on the certificate."
            " To take less, add `--amount` with the sum."
        ),
        (
            "- **Reject**: nothing leaves the balance, and the certificate works again with 5,000.00 RUB."
            " 2,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
        ),
    ],
    RefundReason.REFUND_PAYMENT_MISSING: [
        (
            "- **Approve**: nothing leaves the balance yet. Once the money is back, up to 5,000.00 RUB does;"
            " until then the certificate pays for nothing."
        ),
        "- **Reject**: nothing leaves the balance, and the certificate works again with 5,000.00 RUB.",
    ],
    RefundReason.ALLOCATION_MISSING: [
        (
            "- **Approve**: 5,000.00 RUB leaves the balance, and the certificate is void."
            " To take less, add `--amount` with the sum."
        ),
        "- **Reject**: nothing leaves the balance, and the certificate works again with 5,000.00 RUB.",
    ],
    RefundReason.NOT_CAPTURED: ["- **Approve**: the certificate was never issued and goes back to the pool."],
    RefundReason.CURRENCY_MISMATCH: [
        (
            "- **Approve** with an amount: say with `--amount` what the money is worth in RUB."
            " So much leaves the balance, at most 5,000.00 RUB."
        ),
        (
            "- **Reject**: nothing leaves the balance, and the certificate works again with 5,000.00 RUB."
            " 5,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
            " With `--amount` you say what the money is worth instead: 0 if it was meant for other lines."
        ),
    ],
    RefundReason.ALREADY_REFUNDED: [
        "- **Approve**: nothing is left to take, and the case is closed.",
        "- **Reject**: nothing leaves the balance. The certificate is blocked, with 0.00 RUB on it.",
    ],
    RefundReason.CERTIFICATE_EXPIRED: [
        (
            "- **Approve**: nothing is left to take, and the case is closed."
            " 5,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
        ),
        (
            "- **Reject**: nothing leaves the balance. The certificate is expired, with 0.00 RUB on it."
            " 5,000.00 RUB of the refund stays uncovered: the certificate does not pay for it."
        ),
    ],
}


@pytest.mark.parametrize("reason", ASKED)
def test_a_refund_that_needs_a_person_says_why_with_its_figures(reason: RefundReason) -> None:
    found = ASKED[reason]()
    first, why, *_ = of(found)
    assert "It waits for a person to decide a refund." in first
    case = found.case.refund_case_id
    assert why.startswith(f"Refund case {case} of order IM-1001 has waited for a decision since 20")
    assert WHY[reason] in why


@pytest.mark.parametrize("reason", DECISIONS)
def test_each_decision_says_what_it_does_to_the_certificate(reason: RefundReason) -> None:
    assert decisions(of(ASKED[reason]())) == DECISIONS[reason]


@pytest.mark.parametrize("reason", ASKED)
@pytest.mark.parametrize("language", LANGUAGES)
def test_command_and_page_to_decide_stand_below(reason: RefundReason, language: Language) -> None:
    found = ASKED[reason]()
    case, paragraphs = found.case.refund_case_id, of(found, language)
    commands = next(one for one in paragraphs if one.startswith("```"))
    note = "why" if language == "en" else "причина"
    amount = " --amount ..." if reason is RefundReason.CURRENCY_MISMATCH else ""
    assert f'giftcert refunds resolve {case} --approve{amount} --note "{note}"' in commands
    assert (f"giftcert refunds resolve {case} --reject" in commands) is (found.sale.issued_at is not None)
    assert any(f"({page(case)})" in one for one in paragraphs)


def test_what_a_free_certificate_was_spent_for_needs_no_money_to_be_understood() -> None:
    free = Certificate(terms=make.terms(make.FREE)).tell(make.reserve())
    free.tell(make.ordered(make.gift(amount=0), make.goods()), make.hold(), make.spending(), make.returned())
    assert "The line, which cost nothing, was returned, but the buyer has spent" in of(free)[1]


def test_the_first_of_two_persons_is_mentioned() -> None:
    found = spent(100_000, terms=make.terms(refund_four_eyes_over=1)).tell(make.refunded())
    found.tell(make.resolve(found.case.refund_case_id))
    said = "One person has agreed to approve it; another has to repeat the same decision and amount."
    assert said in of(found)


def test_a_case_of_a_sale_that_ended_says_that_the_certificate_is_not_concerned() -> None:
    found = sold().tell(make.captured(300_000), make.cancelled()).wait(7 * make.DAY)
    assert decisions(of(found)) == [
        "- **Approve**: the certificate was never issued. Once the money is back, it goes back to the pool."
    ]


def test_a_case_whose_line_is_not_at_hand_is_described_without_decisions() -> None:
    text = seen(replace(ISSUED, sale=replace(SALE, cases=(CASE,)))).text()
    assert "Refund case case-1 of order IM-1 has waited for a decision since" in text
    assert "Approve" not in text


# Names that others gave ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_id", "shown"),
    [
        ("[free](https://evil.example)", "`[free](https://evil.example)`"),
        ("![x](https://evil.example/x.png)", "`![x](https://evil.example/x.png)`"),
        ("www.evil.example", "`www.evil.example`"),
        ("**paid**", "`**paid**`"),
        ("<b>IM_1</b>", "`<b>IM_1</b>`"),
        ("a`b", "`` a`b ``"),
        ("IM-1\n\n# paid\x1b[2J", "`IM-1\\n\\n# paid\\x1b[2J`"),
    ],
)
def test_what_others_call_their_things_is_no_markdown(order_id: str, shown: str) -> None:
    sale = replace(SALE, order_id=order_id, line_id=order_id, cases=(CASE,))
    hold = replace(HOLD, order_id=order_id, redemption_id=order_id)
    text = seen(replace(ISSUED, sale=sale, redemptions=(hold,), held=100_000)).text()
    assert text.count(shown) == 5
    assert order_id not in text.replace(shown, "")
    assert ("orderId", order_id) in names(replace(ISSUED, sale=sale))
