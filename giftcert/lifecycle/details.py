"""Details of a certificate's workflow, Markdown for support: why it waits, and what each decision would do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate.cases import APPROVE
from giftcert.domain.certificate.redemption_state import open_holds, spent
from giftcert.domain.certificate.refund_preview import DecisionPreview, preview
from giftcert.domain.certificate.sale_money import sale_money
from giftcert.domain.certificate.state import (
    SPENDABLE,
    CertificateState,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.domain.certificate.words import Awaited, RefundReason
from giftcert.domain.policy import Terms
from giftcert.settings import Settings
from giftcert.temporal.web_ui import literal
from giftcert.texts import Texts, texts_in

_WITHOUT_MONEY = frozenset({RefundReason.CERTIFICATE_REDEEMED, RefundReason.REDEMPTION_IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class Wording:
    """The language of details, and where people decide a refund case."""

    texts: Texts
    refund_page: Callable[[str], str]


def wording_of(settings: Settings) -> Wording:
    """Return the wording that the settings choose."""
    return Wording(texts_in(settings.language), settings.refund_page)


def plain_wording() -> Wording:
    """Return English, with a page that is only named: for a process that shows nobody any details."""
    return Wording(texts_in("en"), lambda refund_case_id: refund_case_id)


@dataclass(frozen=True, slots=True)
class Details:
    """A certificate at an instant, as its workflow describes it."""

    state: CertificateState
    next_instant: datetime | None
    now: datetime
    terms: Terms
    wording: Wording

    def text(self) -> str:
        """Return where the certificate stands: what a person has to do first, figures after that."""
        return "\n\n".join((self._headline(), *self._cases(), *self._figures()))

    def waiting_for(self) -> str:
        """Return what the timer is for, as its summary in the history."""
        return self._say("waits-for", awaited=self._awaited())

    def _headline(self) -> str:
        product, status = self.state.product, self._say(f"status-{self.state.shown_status}")
        if self.next_instant is None and pending_case(self.state) is None and not self.state.waits_for:
            return self._say("at-rest", product=product, status=status)
        return self._say("certificate", product=product, status=status, awaited=self._awaited())

    def _awaited(self) -> str:
        state = self.state
        if pending_case(state) is not None:
            return self._say("awaited-decision")
        if any(sale.open_case for sale in state.sales):
            return self._say("awaited-money")
        if open_holds(state):
            return self._say("awaited-hold")
        if state.waits_for:
            return self._say("awaited-line")
        return self._say("awaited-payment" if state.status is Status.ORDERED else "awaited-validity")

    def _cases(self) -> Iterator[str]:
        for sale in self.state.sales:
            for case in sale.cases:
                if case.state is RefundState.PENDING_DETAILS:
                    yield from self._pending(sale, case)
                elif case.is_open:
                    yield self._awaiting(sale, case)

    def _figures(self) -> Iterator[str]:
        state = self.state
        if state.sale is not None:
            order, line = literal(state.sale.order_id), literal(state.sale.line_id)
            yield self._say("order", order=order, line=line, price=self._money(state.sale.amount))
        if state.balance or state.held:
            amounts = {"balance": state.balance, "held": state.held, "nominal": state.nominal}
            yield self._say("balance", **{name: self._money(amount) for name, amount in amounts.items()})
        for hold in open_holds(state):
            values = {"order": hold.order_id, "redemption": hold.redemption_id}
            held = {name: literal(value) for name, value in values.items()} | {
                "amount": self._money(hold.held)
            }
            if hold.expires_at is None:
                yield self._say("hold-without-end", **held)
            else:
                yield self._say("hold", **held, until=self._moment(hold.expires_at))
        if self.next_instant is not None:
            yield self._say("next-look", at=self._moment(self.next_instant))

    def _awaiting(self, sale: Sale, case: RefundCase) -> str:
        """What an open case waits for before a person is asked."""
        kind = case.awaiting or Awaited.PAYMENT
        said = [self._say(f"case-{kind.value}", case=self._named(sale, case), amount=self._amount(case))]
        if case.approved is not None:
            said.append(self._say("case-approved", amount=self._money(case.approved)))
        if case.waits_until is not None:
            said.append(self._say("case-until", until=self._moment(case.waits_until)))
        return " ".join(said)

    def _pending(self, sale: Sale, case: RefundCase) -> Iterator[str]:
        """Why a case waits for a person, what that person can decide, and where."""
        since = self._moment(case.pending_since or self.now)
        waits = self._say("case-since", case=self._named(sale, case), since=since)
        yield f"{waits} {self._why(sale, case)}"
        previews = list(preview(self.state, case.refund_case_id, self.now, self.terms))
        if previews:
            yield self._say("decisions")
            yield "\n".join(f"- {self._decision(sale, case, one)}" for one in previews)
        if case.agreement is not None:
            yield self._say(f"agreed-{case.agreement.decision}")
        yield self._say("decide", page=self.wording.refund_page(case.refund_case_id))
        yield "\n".join(("```", *(self._command(case, one) for one in previews), "```"))

    def _why(self, sale: Sale, case: RefundCase) -> str:
        line = self.state.line(sale.ref)
        money = sale_money(sale, line) if line else None
        reason = case.reason or RefundReason.REFUND_PAYMENT_MISSING
        key = f"why-{reason.value}" + ("-free" if case.amount == 0 and reason in _WITHOUT_MONEY else "")
        return self._say(
            key,
            amount=self._amount(case),
            currency=self.state.currency,
            price=self._money(money.price if money else sale.amount),
            captured=self._money(money.captured if money else 0),
            spent=self._money(spent(self.state)),
            held=self._money(self.state.held),
            until=self._moment(sale.valid_until or self.now),
        )

    def _decision(self, sale: Sale, case: RefundCase, seen: DecisionPreview) -> str:
        said = [
            self._say(
                _key(sale, seen),
                currency=self.state.currency,
                amount=self._money(seen.amount),
                taken=self._money(seen.taken),
                balance=self._money(seen.balance),
                status=self._say(f"status-{seen.status}"),
            )
        ]
        if seen.uncovered:
            said.append(self._say("uncovered", amount=self._money(seen.uncovered)))
        if seen.taken:
            said.append(self._say("smaller-amount"))
        if case.foreign_currency is not None and seen.decision != APPROVE:
            said.append(self._say("worth"))
        return " ".join(said)

    def _command(self, case: RefundCase, seen: DecisionPreview) -> str:
        amount = " --amount ..." if seen.needs_amount else ""
        note = self._say("note")
        return f'giftcert refunds resolve {case.refund_case_id} --{seen.decision}{amount} --note "{note}"'

    def _named(self, sale: Sale, case: RefundCase) -> str:
        return self._say("case", case=case.refund_case_id, order=literal(sale.order_id))

    def _say(self, key: str, **values: str | int) -> str:
        return self.wording.texts(key, **values)

    def _amount(self, case: RefundCase) -> str:
        return self.wording.texts.money(case.amount, case.foreign_currency or self.state.currency)

    def _money(self, amount: int) -> str:
        return self.wording.texts.money(amount, self.state.currency)

    def _moment(self, at: datetime) -> str:
        return self.wording.texts.moment(at)


def pending_case(state: CertificateState) -> RefundCase | None:
    """Return the refund case that waits for a person, of whichever sale; the oldest sale's first."""
    cases = (case for sale in state.sales for case in sale.cases)
    return next((case for case in cases if case.state is RefundState.PENDING_DETAILS), None)


def _key(sale: Sale, seen: DecisionPreview) -> str:
    """Return which text says what a decision would do."""
    if seen.decision != APPROVE:
        return "reject-frees" if seen.status in SPENDABLE else "reject-keeps"
    if sale.issued_at is None:
        return _key_before_issue(sale, seen)
    if seen.needs_amount:
        return "approve-needs-amount"
    if not seen.is_carried_out:
        return "approve-awaits"
    if seen.taken == 0:
        return "approve-closes"
    return "approve-voids" if seen.status == Status.REFUNDED else "approve-takes"


def _key_before_issue(sale: Sale, seen: DecisionPreview) -> str:
    if sale.ended is not None:
        return "approve-ends"
    if not seen.is_carried_out:
        return "approve-awaits-release"
    return "approve-releases" if seen.status == Status.AVAILABLE else "approve-sells-on"
