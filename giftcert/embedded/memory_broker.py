"""The process of `kafka.MemoryBroker`: librdkafka's in-memory broker, which speaks the protocol.

Started as ``python -m giftcert.embedded.memory_broker FILE``: it writes its address into the file and runs
until its lifeline, standard input, is cut or a signal ends it.
"""

import sys
from pathlib import Path

from confluent_kafka import Producer

if __name__ == "__main__":
    address_file = Path(sys.argv[1])
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
    partial = address_file.with_suffix(".partial")
    partial.write_text(f"{broker.host}:{broker.port}")
    partial.rename(address_file)
    while sys.stdin.buffer.read(1):
        pass
