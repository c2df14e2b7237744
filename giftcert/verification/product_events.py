"""Events about no certificate: of products and of inputs. They have no sequence; the stream holds each as recorded."""

from collections.abc import Sequence

from giftcert.contracts.envelope import digest_of
from giftcert.storage.verification.pages import PageRepository, RecordedEvent
from giftcert.storage.verification.published import PublishedRepository
from giftcert.storage.verification.session import Session
from giftcert.verification.cutoff import Cutoff
from giftcert.verification.secret_watch import NumberWatch
from giftcert.verification.sequences import not_published
from giftcert.verification.violations import Findings, Violation

PAGE = 2_000


class ProductEvents:
    """Follows them in the order of their ids, which is that of time."""

    def __init__(self, session: Session, cutoff: Cutoff, numbers: NumberWatch, findings: Findings) -> None:
        self._pages = PageRepository(session)
        self._published = PublishedRepository(session)
        self._cutoff = cutoff
        self._numbers = numbers
        self._findings = findings

    async def look_at_all(self, after: str) -> None:
        """Look at all behind this event id."""
        while True:
            async with self._pages.snapshot():
                page = await self._pages.keyed_events(after, PAGE)
                if not page:
                    return
                await self._look_at(page)
            after = page[-1].stored.event_id

    async def _look_at(self, page: Sequence[RecordedEvent]) -> None:
        self._findings.check(len(page), 6)
        published = await self._published.keyed([event.stored.event_id for event in page])
        for event in page:
            self._compare(event, published.get(event.stored.event_id, []))
            if not self._cutoff.must_be_read(event):
                self._findings.check(1, 7)
                stored = event.stored
                self._numbers.look(stored.payload.encode(), "event", stored.event_id, stored.event_type)
        await self._numbers.flush(self._findings)

    def _compare(self, event: RecordedEvent, digests: list[bytes]) -> None:
        stored = event.stored
        if not digests:
            self._findings.add_all(not_published(event, stored.event_id, "event", self._cutoff))
        elif any(one != digest_of(stored) for one in digests):
            self._findings.add(
                Violation(
                    invariant=6,
                    rule="otherContent",
                    kind="event",
                    subject=stored.event_id,
                    expected=f"{stored.event_type} on the stream as recorded",
                    seen="other content",
                )
            )
