"""Records and batches made from bytes that libFuzzer changes, to reach ever more of the decoding.

Each comes to one outcome: no input raises, is lost, or counts as a fault of ours. libFuzzer ends its process, so this
one is run by ``python -m tests.fuzz``.
"""

import json
import struct
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import atheris

from tests.hostile_batches import ATTRIBUTES, CODECS, HEADER, NOW, Written, batch, sealed
from tests.unit.contracts.topic_records import client, order, payment, withdrawal

with atheris.instrument_imports(include=["giftcert.contracts", "kafka_ingest"]):
    from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError
    from giftcert.security.keyring import Keyring
    from kafka_ingest.decoder import DecodedBatch, decode, decode_whole
    from kafka_ingest.quarantine import named_things
    from kafka_ingest.records import InputRecord
    from tests.unit.kafka_ingest.fetched_batches import takings
    from tests.unit.kafka_ingest.ingest_memory import TOPICS

LIMIT = 10_000
SHOWN_EVERY = 100_000
MESSAGES = (
    (order(), order(eventType="order.changed", orderVersion=2), withdrawal()),
    (payment(), payment(tender="giftCertificate", certificateId="c"), payment(eventType="payment.refunded")),
    (client(), client(mergedInto="C-78", blocked=True)),
)
BATCH = len(MESSAGES)
"""The first byte of an input that is a batch; below it, of a record of that topic."""


class Fuzz:
    """Tries inputs, and counts what came of them."""

    def __init__(self, inputs: int, keyring: Keyring) -> None:
        self._inputs, self._keyring = inputs, keyring
        self._tried, self._began = 0, time.monotonic()
        self._outcomes: Counter[tuple[str, str]] = Counter()

    def try_input(self, data: bytes) -> None:
        """Try one input; raises where it comes to no good end."""
        if len(data) > 1 and data[0] % (BATCH + 1) == BATCH:
            self._try_batch(data[1], data[2:])
        else:
            self._try_record(TOPICS.names[(data or b"\0")[0] % BATCH], data[1:])
        self._tried += 1
        if self._tried % SHOWN_EVERY == 0 or self._tried == self._inputs:
            self._show()

    def _try_record(self, topic: str, value: bytes) -> None:
        record = InputRecord(topic, 0, 0, value[:8], value, NOW)
        self._judge(topic, [record])
        if topic == TOPICS.orders:
            with suppress(MalformedRecord, UnknownEventTypeError):
                decode_whole(record, TOPICS)

    def _try_batch(self, shape: int, packed: bytes) -> None:
        """Try packed bytes; the shape says in how many records and in which codec, also in one that does not exist."""
        data = bytearray(batch([Written(b"")] * max(1, shape >> 3)))[:HEADER]
        struct.pack_into(">h", data, ATTRIBUTES, shape & 7)
        read = 0
        for taken in takings(sealed(bytes(data) + packed), TOPICS.orders, LIMIT):
            self._judge("batch", taken)
            read += len(taken)
        assert read, "a batch that is lost"

    def _judge(self, kind: str, records: list[InputRecord]) -> None:
        decoded = decode(records, TOPICS, LIMIT)
        good = [*decoded.orders, *decoded.payments, *decoded.clients]
        assert len(good) + decoded.counts.total() == len(records), "a record that is lost"
        self._outcomes[kind, "decoded"] += len(good)
        self._outcomes[kind, "of an unknown type"] += decoded.counts.total() - len(decoded.rejections)
        self._judge_rejections(kind, decoded)

    def _judge_rejections(self, kind: str, decoded: DecodedBatch) -> None:
        for rejection in decoded.rejections:
            assert rejection.reason != "recordFails", rejection.text
            rejection.event(datetime.now(UTC))
            named_things(rejection.source, TOPICS, self._keyring)
            self._outcomes[kind, rejection.reason] += 1

    def _show(self) -> None:
        rate = self._tried / (time.monotonic() - self._began)
        print(f"{self._tried:,} inputs, {rate:,.0f} a second", flush=True)
        if self._tried == self._inputs:
            for (kind, outcome), count in sorted(self._outcomes.items()):
                print(f"{kind:10} {outcome:20} {count:9,}", flush=True)


def write_corpus(folder: Path) -> None:
    """Write what libFuzzer begins with: a message of each kind, and a batch in each codec."""
    for topic, messages in enumerate(MESSAGES):
        for nth, message in enumerate(messages):
            (folder / f"{topic}-{nth}").write_bytes(bytes([topic]) + json.dumps(message).encode())
    for number, codec in enumerate(CODECS):
        written = batch([Written(json.dumps(order()).encode()), Written(None)], codec)
        (folder / codec).write_bytes(bytes([BATCH, 2 << 3 | number]) + written[HEADER:])


def main(inputs: int, folder: Path) -> None:
    """Try so many inputs and end the process; one that failed is left in the folder, and the process ends otherwise."""
    corpus = folder / "corpus"
    corpus.mkdir()
    write_corpus(corpus)
    with tempfile.TemporaryDirectory() as keys:
        keyring = Keyring.create(Path(keys) / "keyring.json")
    options = [
        f"-runs={inputs}",
        f"-artifact_prefix={folder}/",
        "-max_len=4096",
        "-verbosity=0",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], Fuzz(inputs, keyring).try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
