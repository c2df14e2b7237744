"""How every client of ours reaches Kafka: addresses, TLS and SASL of the settings."""

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from pydantic import SecretStr

from giftcert.health import Probe
from giftcert.settings import Settings

_ANSWER_MILLISECONDS = 5_000
_quiet = logging.getLogger("giftcert.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class KafkaSettingsError(Exception):
    """A file or a value that Kafka's settings name cannot be used; the message is one line and names the setting."""


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that aiokafka's producer, consumer and admin client share.

    Raises:
        KafkaSettingsError: a file of the settings cannot be used.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka_address, "security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if protocol.startswith("SASL_"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = _value(settings.kafka_sasl_password)
    return options


def librdkafka_options(settings: Settings) -> dict[str, Any]:
    """Return the same for confluent-kafka, with which topics are made and checked; raises `KafkaSettingsError`."""
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_address,
        "security.protocol": protocol,
        "logger": _quiet,  # what fails is raised; librdkafka would write it to standard error as well
    }
    if protocol.endswith("SSL"):
        _tls(settings)  # says better than librdkafka what cannot be used
        files = {
            "ssl.ca.location": settings.kafka_ssl_cafile,
            "ssl.certificate.location": settings.kafka_ssl_certfile,
            "ssl.key.location": settings.kafka_ssl_keyfile or settings.kafka_ssl_certfile,
        }
        options |= {name: str(path) for name, path in files.items() if path is not None}
        options["ssl.key.password"] = _value(settings.kafka_ssl_key_password)
    if protocol.startswith("SASL_"):
        options["sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["sasl.username"] = settings.kafka_sasl_username
        options["sasl.password"] = _value(settings.kafka_sasl_password)
    return options


@asynccontextmanager
async def started_consumer(*topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:  # noqa: ANN401 - aiokafka's
    """Start a consumer and stop it in the end: aiokafka's own context leaves one open that was cancelled as it started.

    Raises:
        KafkaError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(*topics, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def reach_kafka(settings: Settings) -> None:
    """Have one of the brokers serve us, as the clients will, which themselves do not say why none does.

    Raises:
        KafkaSettingsError, KafkaError, OSError: the failure of the last of them.
    """
    options = connection_options(settings)
    brokers = collect_hosts(options.pop("bootstrap_servers"))
    for left, (host, port, _) in reversed(list(enumerate(brokers))):
        try:
            broker = await create_conn(host, port, request_timeout_ms=_ANSWER_MILLISECONDS, **options)
            try:
                await broker.send(MetadataRequest([]))  # the first that a broker refuses to strangers
            finally:
                broker.close()
        except (KafkaError, OSError):
            if not left:
                raise
        else:
            return


def kafka_probe(settings: Settings) -> Probe:
    """Return what asks for a broker's answer, over a new connection, so less often than of other servers."""
    return Probe(partial(reach_kafka, settings), every=10, within=5)


def _tls(settings: Settings) -> ssl.SSLContext:
    """Return who is trusted, and our certificate; host names are always checked."""
    with _naming("GIFTCERT_KAFKA_SSL_CAFILE", settings.kafka_ssl_cafile):
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile is not None:
        password = _value(settings.kafka_ssl_key_password)
        with _naming("GIFTCERT_KAFKA_SSL_CERTFILE, GIFTCERT_KAFKA_SSL_KEYFILE", settings.kafka_ssl_certfile):
            # As a function, or OpenSSL would ask at the terminal for a password that is not set.
            context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile, lambda: password)
    return context


@contextmanager
def _naming(setting: str, path: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        raise KafkaSettingsError(f"{setting}: {path} cannot be used: {error.strerror}") from error


def _value(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
