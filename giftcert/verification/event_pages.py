"""Recorded events page by page, beside the stream: those of certificates in sequence, others by their ids."""

import asyncio
from collections.abc import Sequence

from giftcert.contracts.stream import digest_of
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.pages import CertificateRow, PageRepository, RecordedEvent
from giftcert.storage.verification.session import PublishedRepository
from giftcert.verification.scope import Scope
from giftcert.verification.sequences import SequenceCheck, not_published
from giftcert.verification.stream_fold import FoldCheck

EVENTS_A_BREATH = 100
"""Folded without a pause; a worker has other things to do besides."""
OTHER_CONTENT = Rule(6, "otherContent", "event")


async def look_at_certificates(scope: Scope, page: Sequence[CertificateRow]) -> None:
    """Follow the events of each in sequence, fold them as long as it is whole, and look for secrets in them."""
    ids = [one.certificate_id for one in page]
    scope.findings.check(len(page), 2, 3, 4, 5)
    published = await PublishedRepository(scope.session).of_certificates(ids)
    sequences = {
        one.certificate_id: SequenceCheck(one, published.get(one.certificate_id, ()), scope.cutoff)
        for one in page
    }
    folds = {one.certificate_id: FoldCheck(one) for one in page}
    taken = 0
    async for event in PageRepository(scope.session).events(ids):
        certificate_id = event.stored.certificate_id or ""
        sequence, fold = sequences[certificate_id], folds[certificate_id]
        scope.findings.add_all(sequence.take(event))
        if sequence.is_whole:
            scope.findings.add_all(fold.take(event.stored))
        about = f"the {event.stored.event_type} of sequence {event.stored.sequence}"
        _look_for_number(scope, event, "certificate", certificate_id, about)
        scope.secrets.look_for_cvc(event.stored.payload, certificate_id, about)
        taken += 1
        if taken % EVENTS_A_BREATH == 0:
            await asyncio.sleep(0)
    scope.findings.check(taken, 6)
    for certificate_id, sequence in sequences.items():
        scope.findings.add_all(sequence.end())
        if sequence.is_whole:
            scope.findings.add_all(folds[certificate_id].end())
    await scope.secrets.look_at_states(ids)
    await scope.secrets.flush()


async def look_at_keyed_events(scope: Scope, page: Sequence[RecordedEvent]) -> None:
    """Look at events of products and of inputs: they have no sequence; the stream holds each as recorded."""
    scope.findings.check(len(page), 6)
    published = await PublishedRepository(scope.session).keyed([event.stored.event_id for event in page])
    for event in page:
        stored, digests = event.stored, published.get(event.stored.event_id, [])
        if not digests:
            scope.findings.add_all(not_published(event, scope.cutoff))
        elif any(one != digest_of(stored) for one in digests):
            expected = f"{stored.event_type} on the stream as recorded"
            scope.findings.add(OTHER_CONTENT.broken(stored.event_id, "", expected, "other content"))
        _look_for_number(scope, event, "event", stored.event_id, stored.event_type)
    await scope.secrets.flush()


def _look_for_number(scope: Scope, event: RecordedEvent, kind: str, subject: str, about: str) -> None:
    """What was read of the stream was looked at there."""
    if not scope.cutoff.must_be_read(event):
        scope.findings.check(1, 7)
        scope.secrets.look(event.stored.payload, kind, subject, about)
