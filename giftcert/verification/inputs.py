"""Invariant 9 for payments made with a certificate: the one that pays has to be told, whoever's order it is."""

from datetime import datetime

from giftcert.contracts.payment_messages import spending_message
from giftcert.contracts.payments import PaymentRecord, decode_payment
from giftcert.storage.verification.session import Session
from giftcert.storage.verification.spending import SpendingInput, SpendingRepository
from giftcert.verification.violations import Findings, Violation

AT_ONCE = 500


async def look_at_spending(session: Session, since: datetime, findings: Findings) -> None:
    """Find payments of the inbox whose certificate was never told, within a snapshot."""
    repository = SpendingRepository(session)
    waiting: dict[tuple[str, str], SpendingInput] = {}
    async for one in repository.inputs(since):
        record = decode_payment(one.original)
        if isinstance(record, PaymentRecord) and record.spent_certificate_id is not None:
            waiting[record.spent_certificate_id, spending_message(record, one.topic).key] = one
        if len(waiting) >= AT_ONCE:
            await _ask(repository, waiting, findings)
            waiting = {}
    await _ask(repository, waiting, findings)


async def _ask(
    repository: SpendingRepository, waiting: dict[tuple[str, str], SpendingInput], findings: Findings
) -> None:
    findings.check(len(waiting), 9)
    for pair in await repository.untold(list(waiting)):
        source = waiting[pair]
        findings.add(
            Violation(
                invariant=9,
                rule="spendingUndelivered",
                kind="certificate",
                subject=pair[0],
                about=pair[1],
                expected=f"a delivery of the payment at {source.topic}-{source.partition} offset {source.offset}",
                seen="none",
            )
        )
