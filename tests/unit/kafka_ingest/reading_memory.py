"""Reads the batches of files and prints by how many bytes this process grew meanwhile at most."""

import re
import sys
from pathlib import Path

from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import TOO_LARGE
from tests.unit.kafka_ingest.fetched_batches import takings
from tests.unit.kafka_ingest.ingest_memory import TOPICS


def main(files: list[str]) -> None:
    before = greatest_size()
    for file in files:
        taken = takings(Path(file).read_bytes())
        assert [one.reason for batch in taken for one in decode(batch, TOPICS, 100_000).rejections] == [
            TOO_LARGE
        ]
    print(greatest_size() - before)


def greatest_size() -> int:
    """As the kernel counts it for this program; ``getrusage`` counts what the parent had too."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
