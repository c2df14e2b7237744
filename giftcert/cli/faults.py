"""Why a server cannot be used, in words of the settings: what its client raises seldom names what is to be changed."""

import ssl
from dataclasses import dataclass

from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from asyncpg import ConnectionDoesNotExistError, PostgresError
from confluent_kafka import KafkaException
from temporalio.service import RPCError, RPCStatusCode

from giftcert.tls_failures import TlsFault, tls_fault

_NOT_THIS_USER = ("28", "3D000", "42501")  # nor with this password; no such database; without the right
_KAFKA_TLS = {
    TlsFault.UNKNOWN_CA: "GIFTCERT_KAFKA_SSL_CAFILE",
    TlsFault.OTHER_NAME: "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS",
    TlsFault.OUT_OF_DATE: "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS",
    TlsFault.CLIENT_CERTIFICATE: "GIFTCERT_KAFKA_SSL_CERTFILE",
    TlsFault.NO_TLS: "GIFTCERT_KAFKA_SECURITY_PROTOCOL",
}
_DATABASE_TLS = {
    TlsFault.UNKNOWN_CA: "sslrootcert",
    TlsFault.OTHER_NAME: "the host",
    TlsFault.OUT_OF_DATE: "the host",
    TlsFault.CLIENT_CERTIFICATE: "sslcert",
    TlsFault.NO_TLS: "sslmode",
}
# temporalio has no types for them; its text quotes those of rustls.
_TEMPORAL_TLS = {
    "UnknownIssuer": ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", TlsFault.UNKNOWN_CA),
    "NotValidForName": ("TEMPORAL_TLS_SERVER_NAME", TlsFault.OTHER_NAME),
    "Expired": ("GIFTCERT_TEMPORAL_ADDRESS", TlsFault.OUT_OF_DATE),
    "NotValidYet": ("GIFTCERT_TEMPORAL_ADDRESS", TlsFault.OUT_OF_DATE),
    "InvalidContentType": ("TEMPORAL_TLS", TlsFault.NO_TLS),
    "KeyMismatch": ("TEMPORAL_TLS_CLIENT_KEY_PATH", "it is not the key of TEMPORAL_TLS_CLIENT_CERT_PATH"),
}
_NOBODY = "nothing answers there"
_TEMPORAL_CLOSED = "error after connection"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a server and which setting it concerns; ``refused``: it is the set-up, and no outage."""

    setting: str
    says: str
    refused: bool = False


def refuses_database_user(error: BaseException) -> bool:
    """Return whether PostgreSQL answered that it does not serve us."""
    state = error.sqlstate if isinstance(error, PostgresError) else None
    return (state or "").startswith(_NOT_THIS_USER)


def database_fault(error: BaseException, address: str, setting: str = "GIFTCERT_DATABASE_URL") -> Fault:
    """Return what keeps us from PostgreSQL at the address of this setting."""
    said = " ".join(str(error).split())
    if fault := tls_fault(error):
        return Fault(f"{setting}, {_DATABASE_TLS[fault]}", _with_reason(fault, error), refused=True)
    if isinstance(error, FileNotFoundError | PermissionError):
        return Fault(setting, "a file of sslrootcert, sslcert or sslkey cannot be read", refused=True)
    if (
        isinstance(error, ConnectionDoesNotExistError) and "sslcert=" in address
    ):  # the alert may be lost on its way
        says = f"it ends the connection, as where {TlsFault.CLIENT_CERTIFICATE}"
        return Fault(f"{setting}, sslcert", says)
    if isinstance(error, ConnectionRefusedError):
        return Fault(setting, _NOBODY)
    if "rejected SSL upgrade" in said:
        return Fault(f"{setting}, sslmode", TlsFault.NO_TLS, refused=True)
    return Fault(setting, said, refused=refuses_database_user(error))


def kafka_fault(error: BaseException, protocol: str) -> Fault:
    """Return what keeps us from Kafka, which was spoken to in this security protocol."""
    if fault := tls_fault(error):
        return Fault(_KAFKA_TLS[fault], _with_reason(fault, error), refused=True)
    match error:
        case SaslAuthenticationFailed():
            setting = "GIFTCERT_KAFKA_SASL_USERNAME, GIFTCERT_KAFKA_SASL_PASSWORD"
            return Fault(setting, "it does not accept the user or the password", refused=True)
        case UnsupportedSaslMechanismError():
            return Fault("GIFTCERT_KAFKA_SASL_MECHANISM", "it does not know this mechanism", refused=True)
        case IllegalSaslStateError():
            says = f"it wants no password there, so {protocol} is not its protocol"
            return Fault("GIFTCERT_KAFKA_SECURITY_PROTOCOL", says, refused=True)
        case KafkaConnectionError() | ConnectionResetError():
            says = f"it ends the connection, as where its protocol is not {protocol}"
            return Fault("GIFTCERT_KAFKA_SECURITY_PROTOCOL", says)
        case _:
            said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            says = _NOBODY if isinstance(error, ConnectionRefusedError) else " ".join(said.split())
            return Fault("GIFTCERT_KAFKA_BOOTSTRAP_SERVERS", says or "it does not answer")


def temporal_fault(error: BaseException, *, over_tls: bool) -> Fault:
    """Return what keeps us from Temporal."""
    said = " ".join(str(error).split())
    if isinstance(error, RPCError):
        refused = error.status in {RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED}
        return Fault("TEMPORAL_API_KEY" if refused else "GIFTCERT_TEMPORAL_ADDRESS", said[:200], refused)
    for word, (setting, says) in _TEMPORAL_TLS.items():
        if word in said:
            return Fault(setting, says, refused=True)
    if _TEMPORAL_CLOSED in said:
        if over_tls:
            return Fault(
                "TEMPORAL_TLS_CLIENT_CERT_PATH",
                f"it ends the connection, as where {TlsFault.CLIENT_CERTIFICATE}",
            )
        return Fault("TEMPORAL_TLS", "it ends the connection, as where it wants TLS")
    return Fault("GIFTCERT_TEMPORAL_ADDRESS", said[:200] or "it does not answer")


def _with_reason(fault: TlsFault, error: BaseException) -> str:
    """Add what OpenSSL says, in which the host name stands or the server's alert."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    said = (
        cause.verify_message
        if isinstance(cause, ssl.SSLCertVerificationError)
        else getattr(cause, "reason", "")
    )
    return f"{fault} ({str(said).rstrip('.').replace('_', ' ').lower()})" if said else str(fault)
