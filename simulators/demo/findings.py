"""What the run showed: per scenario, and what must always be true over stream and database."""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from simulators.addresses import CommandError, run_giftcert
from simulators.crm import Crm
from simulators.demo.expectations import Expectation, InputReported, is_met
from simulators.demo.journal import Journal
from simulators.fold import CertificateFold
from simulators.service import Certificate, Service


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was checked, what was expected and what was seen; ``times``: how often it was played."""

    subject: str
    expected: str
    seen: str
    holds: bool
    times: int = 1

    @property
    def outcome(self) -> str:
        """What was seen, briefly: that nothing is wrong, or the outcome of each playing."""
        if not self.holds:
            return "not as expected"
        return re.sub(rf"^{self.times} x ", "", self.seen, flags=re.MULTILINE)


def judge_scenario(
    subject: str,
    times: int,
    expectations: Sequence[Expectation],
    failures: Sequence[str],
    journal: Journal,
) -> Finding:
    """Return which stories were expected and which were seen, each with how often."""
    seen = [one.seen(journal) for one in expectations]
    return Finding(
        subject=subject,
        expected=_counted(one.expected for one in expectations),
        seen=_counted([*seen, *failures]),
        holds=bool(expectations) and not failures and all(is_met(one, journal) for one in expectations),
        times=times,
    )


def _counted(texts: Iterable[str]) -> str:
    return "\n".join(f"{times} x {text}" for text, times in Counter(texts).most_common()) or "nothing"


def none_of(subject: str, faults: list[str]) -> Finding:
    """Return that there shall be no fault, with the first of those that there are."""
    shown = faults[:3] + ([f"and {len(faults) - 3} more"] if len(faults) > 3 else [])
    return Finding(subject, "none", "\n".join(shown) or "none", not faults)


def judge_stream(journal: Journal, crm: Crm) -> list[Finding]:
    """Return what the stream alone can show of the rules in lifecycle.md, "Always true"."""
    broken = journal.fold.violations + journal.fold.lines_held_twice()
    return [
        none_of("Gaps, contradicting repeats, two holders, money that does not add up", broken),
        none_of("Numbers and CVCs in clear on the stream", _secrets_told(journal, crm)),
        none_of("CVCs disclosed without a record", _unrecorded_letters(journal, crm)),
        none_of("Clients who should have had a letter and had none", _missing_letters(journal, crm)),
    ]


def _secrets_told(journal: Journal, crm: Crm) -> list[str]:
    """Numbers are looked for everywhere, the few digits of a CVC as a value in its own certificate's events."""
    texts, letters = journal.texts, crm.letters.values()
    everything = "\n".join(text for of_one in texts.values() for text in of_one)
    numbers = [f"number of {one.certificate_id}" for one in letters if one.number in everything]
    cvcs = [
        f"CVC of {one.certificate_id}"
        for one in letters
        if any(f'"{one.cvc}"' in text for text in texts.get(one.certificate_id, ()))
    ]
    return numbers + cvcs


def _unrecorded_letters(journal: Journal, crm: Crm) -> list[str]:
    recorded = {event.text("notificationId") for event in journal.of_type("audit.cvcDisclosed")}
    return [one.certificate_id for key, one in crm.letters.items() if key not in recorded]


def _missing_letters(journal: Journal, crm: Crm) -> list[str]:
    asked = [one for one in journal.of_type("notification.requested") if not one.payload.get("suppressed")]
    ids = [(one.certificate_id, one.text("notificationId") or "") for one in asked]
    return [f"{of}: {crm.refused.get(key, 'not tried')}" for of, key in ids if key not in crm.letters]


def judge_goods(journal: Journal, goods_orders: Collection[str]) -> Finding:
    """Return whether orders without certificates left no event at all."""
    events = [
        f"{one.event_type} {one.text('orderId')}"
        for one in journal.all_events()
        if one.text("orderId") in goods_orders
    ]
    return none_of(f"Of {len(goods_orders):,} goods orders, those that left an event", events)


def judge_errors(journal: Journal, expectations: Iterable[Expectation]) -> Finding:
    """Return whether every error is one that a scenario made; those of certificates stand in their stories."""
    foreseen = [one for one in expectations if isinstance(one, InputReported)]
    errors = [one for one in journal.others if one.event_type.startswith("error.")]
    strange = [one for one in errors if not any(expectation.is_about(one) for expectation in foreseen)]
    return none_of(
        "Errors that no scenario made", [f"{one.event_type} {one.text('reason')}" for one in strange]
    )


async def judge_database(service: Service, journal: Journal) -> Finding:
    """Return whether the service says of every certificate of this run what the stream says."""
    places = asyncio.Semaphore(8)

    async def difference(certificate_id: str) -> str | None:
        async with places:
            stored = await service.certificate(certificate_id)
        folded = journal.fold.certificates[certificate_id]
        answered, folds_to = _as_stored(stored), _as_folded(folded)
        return (
            None if answered == folds_to else f"{certificate_id}: {answered} but the stream says {folds_to}"
        )

    found = await asyncio.gather(*(difference(one) for one in journal.events))
    differences = [one for one in found if one is not None]
    return none_of(
        f"Of {len(found):,} certificates, those whose stream differs from the database", differences
    )


def _as_stored(stored: Certificate) -> tuple[object, ...]:
    balance = stored.balance.amount if stored.balance else 0
    held = stored.held.amount if stored.held else 0
    return stored.status, stored.refund_state, balance, held


def _as_folded(folded: CertificateFold) -> tuple[object, ...]:
    return folded.status, folded.refund_state, folded.balance, folded.held


async def judge_by_verify() -> Finding | None:
    """Return what ``giftcert verify`` says of all invariants; ``None`` where this version has no such command."""
    try:
        await run_giftcert("verify", "--help")
    except CommandError:
        return None
    try:
        await run_giftcert("verify", "--json")
    except CommandError as error:
        return Finding("giftcert verify", "no violation", str(error), holds=False)
    return Finding("giftcert verify", "no violation", "no violation", holds=True)
