"""Takes the records of the stream into the session: what each says of whom, and what in it could be a secret."""

import re
from collections.abc import Callable, Sequence

import msgspec
from aiokafka import ConsumerRecord

from giftcert.contracts.envelope import StoredEvent, decode_event, digest_of
from giftcert.storage.verification.published import PublishedRepository, StreamRow
from giftcert.verification.secret_watch import NumberWatch
from giftcert.verification.stream_reader import StreamReading
from giftcert.verification.violations import Findings, Violation

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StreamIndex:
    """Takes records into the session's table; of a sample only what is about it, or about no certificate."""

    def __init__(
        self,
        published: PublishedRepository,
        watch: NumberWatch,
        findings: Findings,
        wanted: set[bytes] | None = None,
    ) -> None:
        self._published = published
        self._watch = watch
        self._findings = findings
        self._wanted = wanted

    async def take(self, reading: StreamReading, progress: Callable[[int, int], None]) -> None:
        """Take all in."""
        done = 0
        async for records in reading.batches():
            rows = self._rows(records)
            if rows:
                await self._published.add(rows)
            await self._watch.flush(self._findings)
            done += len(records)
            progress(done, reading.total)

    def _rows(self, records: Sequence[ConsumerRecord]) -> list[StreamRow]:
        self._findings.check(len(records), 7)
        rows: list[StreamRow] = []
        for record in records:
            place = f"{record.topic}-{record.partition}"
            self._watch.look(record.value or b"", "event", place, f"offset {record.offset}")
            event = self._decoded(record, place)
            if event is not None and self._is_wanted(record, event):
                rows.append((event.certificate_id, event.sequence, event.event_id, digest_of(event)))
        return rows

    def _is_wanted(self, record: ConsumerRecord, event: StoredEvent) -> bool:
        return self._wanted is None or event.certificate_id is None or record.key in self._wanted

    def _decoded(self, record: ConsumerRecord, place: str) -> StoredEvent | None:
        try:
            event = decode_event(record.key, record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            event = None
        if event is None or not _has_ids(event):
            self._findings.add(
                Violation(
                    invariant=6,
                    rule="noEvent",
                    kind="event",
                    subject=place,
                    about=str(record.offset),
                    expected=f"an event of ours at offset {record.offset}",
                    seen="something else",
                )
            )
            return None
        return event


def _has_ids(event: StoredEvent) -> bool:
    """Whether the ids are such as we make, and a certificate's event has a number."""
    if _UUID.fullmatch(event.event_id) is None:
        return False
    if event.certificate_id is None:
        return True
    return event.sequence is not None and _UUID.fullmatch(event.certificate_id) is not None
