"""Invariant 7 where texts are stored: remembered answers, and what is said and kept of quarantined records."""

from datetime import datetime

import msgspec

from giftcert.security import SealError
from giftcert.storage.verification.secret_places import SealedRecord
from giftcert.verification.secret_watch import Opener, Watches
from giftcert.verification.violations import Findings, Violation


class _Given(msgspec.Struct, rename="camel"):
    certificate_id: str | None = None


async def look_at_answers(watches: Watches, since: datetime, findings: Findings) -> None:
    """Look for secrets in the answers that idempotency keys remember, within a snapshot."""
    findings.check(await watches.places.count_answers(since), 7)
    async for stored in watches.places.answers(since):
        watches.numbers.look(stored.said.encode(), "idempotency key", stored.place, stored.about)
        for certificate_id in _certificates_of(stored.answer):
            watches.cvcs.look(stored.answer, certificate_id, f"the answer of {stored.place}")
    await watches.numbers.flush(findings)
    await watches.cvcs.flush(findings)


async def look_at_quarantine(watches: Watches, keyring: Opener, since: datetime, findings: Findings) -> None:
    """Look for secrets in what is said of quarantined records, and for records that are not sealed."""
    async for record in watches.places.quarantined(since):
        findings.check(1, 7)
        place, about = f"{record.topic}-{record.partition}", f"offset {record.offset}"
        watches.numbers.look(record.said.encode(), "input", place, about)
        if not _is_sealed(record, keyring):
            findings.add(
                Violation(
                    invariant=7,
                    rule="recordUnsealed",
                    kind="input",
                    subject=place,
                    about=about,
                    expected=f"the quarantined record at {about} sealed by our keyring",
                    seen="it does not open",
                )
            )
    await watches.numbers.flush(findings)


def _is_sealed(record: SealedRecord, keyring: Opener) -> bool:
    context = f"{record.topic}:{record.partition}:{record.offset}".encode()
    try:
        for sealed in (record.key, record.value):
            if sealed is not None:
                keyring.open(sealed, context)
    except SealError:
        return False
    return True


def _certificates_of(answer: str) -> list[str]:
    """The certificates that an answer is about: one, or one each of a list."""
    try:
        given = msgspec.json.decode(answer, type=_Given | list[_Given])
    except msgspec.DecodeError:
        return []
    every = given if isinstance(given, list) else [given]
    return [one.certificate_id for one in every if one.certificate_id is not None]
