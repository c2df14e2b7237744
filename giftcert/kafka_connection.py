"""How every client of ours reaches Kafka: addresses, TLS and SASL of the settings, for aiokafka."""

import logging
import ssl
from typing import Any

from giftcert.settings import Settings

_quiet = logging.getLogger("giftcert.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def connection_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments that aiokafka's producer, consumer and admin client share."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_address,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol in {"SSL", "SASL_SSL"}:
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_security_protocol.startswith("SASL_"):
        password = settings.kafka_sasl_password
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def librdkafka_options(settings: Settings) -> dict[str, Any]:
    """Return the same for confluent-kafka, with which topics are made and checked."""
    password = settings.kafka_sasl_password
    options: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_address,
        "security.protocol": settings.kafka_security_protocol,
        "logger": _quiet,  # what fails is raised; librdkafka would write it to standard error as well
    }
    if settings.kafka_ssl_cafile is not None:
        options["ssl.ca.location"] = str(settings.kafka_ssl_cafile)
    if settings.kafka_security_protocol.startswith("SASL_"):
        options["sasl.mechanism"] = settings.kafka_sasl_mechanism
        options["sasl.username"] = settings.kafka_sasl_username or ""
        options["sasl.password"] = password.get_secret_value() if password else ""
    return options
