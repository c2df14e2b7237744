"""The one settings class: environment variables prefixed ``GIFTCERT_``; nothing set means embedded."""

import ipaddress
import logging
import re
from dataclasses import fields
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import (
    Field,
    IPvAnyNetwork,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from giftcert.domain.guessing import GuessPolicy
from giftcert.domain.policy import Policy
from giftcert.setting_rules import contradictions
from giftcert.setting_types import (
    Brokers,
    Channels,
    Duration,
    FromJson,
    HostWithPort,
    Rate,
    TimeZone,
    rate_of,
)
from giftcert.texts import Language

# As the Web UI writes it, so that it knows its own filters. A run that was terminated or reset keeps its attributes.
_REFUNDS_TO_DECIDE = '`RefundState`="pendingDetails" AND `ExecutionStatus`="Running"'
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

BALANCER_NOTICE = timedelta(seconds=5)
"""Balancers look every second or two, and send nobody after one or two failures."""


class AddressNotSetError(Exception):
    """The address of a server is not set, and this process does not start one."""

    def __init__(self, setting: str) -> None:
        super().__init__(f"GIFTCERT_{setting.upper()} is not set")


class Settings(BaseSettings):
    """All that can be set, with the values of the embedded stack as defaults.

    Durations are ISO 8601 (``PT30M``) or seconds. An address that is set makes that part external.
    """

    model_config = SettingsConfigDict(
        env_prefix="GIFTCERT_",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        enable_decoding=False,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    state_dir: Path = Field(Path(".giftcert"), description="All state of the embedded stack; may be deleted")
    cache_dir: Path = Field(Path(".build"), description="Where the jars of the embedded Kafka are kept")

    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host:port/name, a user of the role giftcert_service"
    )
    database_owner_url: SecretStr | None = Field(
        None,
        description="The same as the owner of the tables, for `giftcert migrate` alone; unset: as the service",
    )
    database_pool_size: int = Field(16, ge=2, description="Connections of one process")
    temporal_address: HostWithPort | None = Field(None, description="host:port of the Temporal frontend")
    temporal_namespace: str = Field(
        "default",
        description="Namespace of the workflows; unset means that of Temporal's own configuration, if any",
    )
    temporal_envconfig: bool = Field(
        default=True,
        description="Whether TEMPORAL_* and Temporal's configuration file count; for the embedded server they do not",
    )
    temporal_payload_keys: Path | None = Field(
        None, description="Keyset that encrypts payloads on their way to Temporal; unset: they go in clear"
    )
    temporal_ui_url: str = Field("http://127.0.0.1:8233", description="Where support opens a workflow")
    language: Language = Field(
        "en",
        description="en or ru: of what support reads, in the Web UI and of commands, and of the report of BI",
    )
    refund_page_url: str | None = Field(
        None,
        description="Page where people decide a refund, with {refundCaseId} in it; unset: the call in the API's /docs",
    )
    kafka_bootstrap_servers: Brokers | None = Field(None, description="host:port[,host:port]")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; beyond one host SSL or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = Field(
        None, description="CA certificates (PEM) that vouch for the brokers; unset means the system's"
    )
    kafka_ssl_certfile: Path | None = Field(None, description="Our certificate with its chain (PEM)")
    kafka_ssl_keyfile: Path | None = Field(None, description="Its key (PEM); unset means in the same file")
    kafka_ssl_key_password: SecretStr | None = Field(None, description="Of an encrypted key")

    topic_orders: str = "All_SalesOrder"
    topic_payments: str = "All_Payments"
    topic_clients: str = "All_Clients"
    topic_stream: str = "GiftCertificates.Stream"
    payments_format: Literal["contract", "acquirer"] = Field(
        "contract",
        description="Shape of the messages on the topic of payments: contract, as specs/asyncapi.yaml has it, "
        "or acquirer (docs/integration/formats.md)",
    )
    payments_channel_codes: Annotated[dict[int, str], FromJson] = Field(
        {1: "im", 2: "pos"}, description="Our channels by the numeric codes of the format acquirer"
    )
    topic_partitions: int = Field(8, ge=1, description="Partitions of a topic that `giftcert setup` makes")
    topic_replication: int = Field(-1, ge=-1, description="Copies of those; -1: as the broker is set")
    ingest_group: str = Field("giftcert-ingest", description="Consumer group of ingest")
    bi_time_zone: TimeZone = Field(
        "UTC", description="Whose midnight ends a day of BI, such as Europe/Moscow"
    )

    keyring: Path | None = Field(None, description="Keyring file; unset means that of the embedded stack")
    master_key: SecretStr | None = Field(
        None,
        description="What wraps all other keys: a keyset file of Tink, its JSON, or a URI in a KMS "
        "(hcvault://host:port/transit/keys/NAME, aws-kms://, gcp-kms://); unset: the keyring file holds it",
    )
    jwt_issuer: str = "giftcert-embedded"
    jwt_audience: str = "giftcert"
    jwt_jwks: str | None = Field(
        None, description="The issuer's public JWK set, a file or an https:// address; unset means embedded"
    )

    api_host: str = "127.0.0.1"
    api_port: int = Field(8080, ge=0, le=65535)
    api_connections: int = Field(8_000, ge=1, description="Connections at once; more are answered 503")
    api_requests: int = Field(200, ge=1, description="Requests at once; more are answered 503")
    api_grace: Duration | None = Field(
        None,
        description="After SIGTERM all is served for so long while /readyz says 503, until balancers send nobody; "
        "unset: 5 s, on a loopback address none",
    )
    api_drain: Duration = Field(
        timedelta(seconds=5),
        description="After that, for clients to hear that their connections close: "
        "no less than they keep an idle one, or its next request may be lost",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], FromJson] = Field(
        (), description="Addresses or networks whose X-Forwarded-For and -Proto are believed"
    )
    cors_origins: Annotated[tuple[str, ...], FromJson] = Field(
        (),
        description="Origins, such as https://crm.example.com, whose pages may call the API from a browser",
    )
    codec_host: str = "127.0.0.1"
    codec_port: int = Field(
        8234, ge=0, le=65535, description="Where `giftcert codec serve` opens payloads for the Web UI"
    )
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="/livez, /readyz and /metrics of worker, ingest or dispatch; unset: none",
    )
    postgres_port: int = Field(5433, ge=0, le=65535, description="Embedded PostgreSQL")
    temporal_port: int = Field(7233, ge=0, le=65535, description="Embedded Temporal frontend")
    temporal_ui_port: int = Field(8233, ge=0, le=65535, description="Embedded Temporal Web UI")
    kafka_port: int = Field(9092, ge=0, le=65535, description="Embedded Kafka")

    embedded_pool: int = Field(
        2_000, ge=0, description="Certificates that `giftcert up` makes of a product that has none"
    )

    channels: Channels = Field(("im", "pos"), description="Sales channels; one task queue each")
    worker_channels: Channels | None = Field(None, description="Channels one worker serves; unset: all")
    worker_promotes: bool = Field(
        default=True,
        description="A build that never led does once its workers serve all; false: `giftcert deploy promote`",
    )
    products_file: Path | None = Field(None, description="Products as JSON; unset means the built-in samples")
    default_product: str | None = Field("GC-5000", description="Given where a request names no product")

    require_idempotency_key: bool = False
    reservation_cap: int = Field(10_000, ge=1, description="Unordered reservations one caller may hold")
    reservation_share: float = Field(
        0.5, gt=0, le=1, description="Share of a product's pool one caller may hold; 100 may always be"
    )
    query_timeout: Duration = Field(
        timedelta(seconds=2), description="Wait for a workflow before the stored value"
    )

    disclosures_per_caller: Rate = Field("6000/minute", description="CVCs that one caller gets")
    disclosures_per_certificate: Rate = Field(
        "10/hour", description="Answers and refusals to requests for one certificate's CVC"
    )
    disclosures_never_unusual: int = Field(
        1_000, ge=0, description="CVCs that a caller may get in an hour without alert.disclosureUnusual"
    )
    wrong_cvcs_per_caller: Rate = Field(
        "1000/hour", description="Wrong numbers and CVCs of one caller that names no end user with them"
    )
    wrong_cvcs_per_end_user: Rate = Field(
        "20/hour", description="Wrong numbers and CVCs of one end user that a channel names"
    )
    wrong_cvcs_per_certificate: Rate = Field("5/day", description="Wrong CVCs that lock a number")
    verification_lock: Duration = Field(
        15 * _MINUTE, description="How long a number is locked at first, unless support unlocks it"
    )
    verification_lock_longest: Duration = Field(
        24 * _HOUR, description="Each further lock lasts twice as long, up to this"
    )
    serve_metrics: bool | None = Field(
        None, description="Whether the API answers /metrics; unset: on a loopback address only"
    )
    serve_docs: bool | None = Field(
        None, description="Whether the API answers /docs and /openapi.json; unset: on a loopback address only"
    )
    access_log: bool = Field(default=True, description="One line per request, without query, body or token")

    # Deadlines of the lifecycle.
    clock_skew: Duration = Field(5 * _MINUTE, description="Allowed between channels' clocks and ours")
    cooling_period: Duration = Field(72 * _HOUR, description="Rest of a released certificate")
    unpaid_after_order: Duration = Field(72 * _HOUR)
    unpaid_after_authorization: Duration = Field(7 * _DAY)
    unpaid_after_void: Duration = Field(2 * _HOUR)
    refund_capture_wait: Duration = Field(24 * _HOUR, description="awaitingCapture to notCaptured")
    refund_allocation_wait: Duration = Field(24 * _HOUR, description="requested to allocationMissing")
    refund_payment_wait: Duration = Field(
        7 * _DAY, description="requested to refundPaymentMissing or amountMismatch"
    )
    notification_wait: Duration = Field(
        24 * _HOUR,
        gt=timedelta(0),
        description="For CRM to fetch number and CVC, until alert.notificationUndeliverable",
    )
    refund_stuck_after: Duration = Field(24 * _HOUR, gt=timedelta(0), description="First alert.refundStuck")
    cancelled_without_refund_after: Duration = Field(
        7 * _DAY, description="Money of a sale that was given up, until alert.cancelledWithoutRefund"
    )
    escalation_factor: float = Field(2.0, ge=1, description="Each repeated alert waits this much longer")
    escalation_longest: Duration = Field(
        30 * _DAY, gt=timedelta(0), description="Longest wait between repeated alerts"
    )
    certificates_buy_certificates: bool = False
    direct_spend_channels: Channels = Field(
        (), description="Channels that may spend a certificate without having held the amount"
    )
    direct_spend_cap: int = Field(0, ge=0, description="Most that they may spend so at once, minor units")
    refund_four_eyes_over: int | None = Field(
        None, ge=0, description="Refunds of more take two persons, minor units; unset: none does"
    )
    payment_horizon: Duration = Field(90 * _DAY, description="How long payments of unknown orders are kept")
    inbox_retention: Duration = Field(90 * _DAY, description="How long originals are kept for a trace")
    record_limit: int = Field(1_048_576, ge=1_024, description="Greatest record of an input topic, bytes")

    reservation_sweep_every: Duration = Field(timedelta(seconds=30))
    expiry_every: Duration = Field(_HOUR, description="How often old keys and payments are forgotten")
    reconciliation_every: Duration = Field(_HOUR, description="How often a sample is verified")
    reconciliation_sample: int = Field(2_000, ge=1, description="Certificates of such a sample")
    reconciliation_hour: int = Field(
        3, ge=0, le=23, description="Hour (UTC) at which everything is verified, every day"
    )
    verification_patience: Duration = Field(
        5 * _MINUTE, description="What waits longer to be published or signalled breaks an invariant"
    )
    overdue_after: Duration = Field(
        2 * _MINUTE,
        ge=timedelta(seconds=1),
        description="What waits longer to be decided, looked at, published or taken by a worker is "
        "alert.workOverdue",
    )
    refund_overdue_after: Duration = Field(
        3 * _DAY, ge=timedelta(seconds=1), description="The same for refunds that wait for a person"
    )
    overdue_alert_every: Duration = Field(
        _HOUR, ge=timedelta(seconds=1), description="How often that alert is sent again while it lasts"
    )
    snapshot_every: Duration = Field(
        _HOUR,
        ge=timedelta(seconds=1),
        description="How often audit.snapshot publishes the figures of each product",
    )
    pool_low_threshold: int = Field(
        1_000,
        ge=0,
        description="With fewer certificates available alert.poolLow is sent; a product may say its own",
    )
    pool_replenish_to: int | None = Field(
        None,
        ge=1,
        description="A low pool is filled up to so many by itself; a product may say its own; unset: by hand",
    )
    log_level: str = "INFO"
    log_json: bool = False

    @property
    def is_api_local(self) -> bool:
        """Whether the API listens to this machine alone."""
        try:
            return self.api_host == "localhost" or ipaddress.ip_address(self.api_host).is_loopback
        except ValueError:
            return False

    @property
    def api_notice(self) -> timedelta:
        """How long the API says that it is not ready before it takes no more connections."""
        if self.api_grace is not None:
            return self.api_grace
        return timedelta(0) if self.is_api_local else BALANCER_NOTICE

    @property
    def database_address(self) -> str:
        """The address of PostgreSQL, password included; raises `AddressNotSetError`."""
        if self.database_url is None:
            raise AddressNotSetError("database_url")
        return self.database_url.get_secret_value()

    @property
    def database_owner_address(self) -> str:
        """The address of PostgreSQL for who may change tables; raises `AddressNotSetError`."""
        if self.database_owner_url is None:
            return self.database_address
        return self.database_owner_url.get_secret_value()

    @property
    def kafka_address(self) -> str:
        """The addresses of Kafka's brokers; raises `AddressNotSetError`."""
        if self.kafka_bootstrap_servers is None:
            raise AddressNotSetError("kafka_bootstrap_servers")
        return self.kafka_bootstrap_servers

    @property
    def general_stream_key(self) -> str:
        """The stream key of what is about no certificate, product or input."""
        return f"{self.topic_stream}-0"

    @property
    def policy(self) -> Policy:
        """The deadlines of the lifecycle as the domain takes them."""
        return Policy(**{field.name: getattr(self, field.name) for field in fields(Policy)})

    @property
    def guess_policy(self) -> GuessPolicy:
        """How many wrong pairs of number and CVC are borne."""
        return GuessPolicy(
            per_number=rate_of(self.wrong_cvcs_per_certificate),
            per_caller=rate_of(self.wrong_cvcs_per_caller),
            per_end_user=rate_of(self.wrong_cvcs_per_end_user),
            lock=self.verification_lock,
            longest_lock=self.verification_lock_longest,
        )

    def workflow_url(self, certificate_id: str) -> str:
        """Return where support opens the workflow of a certificate."""
        return self.url_of_workflow(f"certificate-{certificate_id}")

    def url_of_workflow(self, workflow_id: str) -> str:
        """Return where the Web UI shows a workflow."""
        return f"{self._workflows_url}/{workflow_id}"

    @property
    def refund_list_url(self) -> str:
        """Where the Web UI lists the certificates of which a refund waits for a person."""
        return f"{self._workflows_url}?query={quote(_REFUNDS_TO_DECIDE)}"

    @property
    def _workflows_url(self) -> str:
        return f"{self.temporal_ui_url}/namespaces/{self.temporal_namespace}/workflows"

    def refund_page(self, refund_case_id: str) -> str:
        """Return the page on which people decide a refund case."""
        page = self.refund_page_url or f"http://{self.api_host}:{self.api_port}/docs#/refunds/resolveRefund"
        return page.replace("{refundCaseId}", refund_case_id)

    @model_validator(mode="wrap")
    @classmethod
    def _fit_together(
        cls, given: dict[str, object], check: ModelWrapValidatorHandler["Settings"]
    ) -> "Settings":
        """Report settings that contradict each other together with those that are wrong by themselves."""
        refused: list[InitErrorDetails] = []
        wrong: set[str] = set()
        try:
            settings = check(given)
        except ValidationError as error:
            found = error.errors(include_url=False)
            refused = [_as_detail(one["loc"], one["msg"]) for one in found]
            wrong = {str(one["loc"][0]) for one in found}
            settings = check({name: value for name, value in given.items() if name not in wrong})
        refused += [_as_detail((name,), why) for name, why in contradictions(settings, wrong)]
        if refused:
            raise ValidationError.from_exception_data(cls.__name__, refused, hide_input=True)
        return settings

    @field_validator("refund_page_url")
    @classmethod
    def _has_place_for_the_case(cls, url: str | None) -> str | None:
        if url is not None and "{refundCaseId}" not in url:
            raise ValueError("must have {refundCaseId} in it")
        return url

    @field_validator("log_level")
    @classmethod
    def _is_log_level(cls, name: str) -> str:
        if name.upper() not in logging.getLevelNamesMapping():
            raise ValueError("must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
        return name

    @field_validator("jwt_jwks")
    @classmethod
    def _is_safe_address(cls, source: str | None) -> str | None:
        if source is None or "://" not in source or source.startswith("https://"):
            return source
        if source.startswith(("http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:")):
            return source
        raise ValueError("must be a file or begin with https://; anybody on the way could exchange the keys")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"https?://[\w.-]+(:\d+)?", origin) for origin in origins):
            raise ValueError("must be origins such as https://crm.example.com")
        return origins

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return url


def _as_detail(place: tuple[int | str, ...], why: str) -> InitErrorDetails:
    # As a text it would be formatted, and may quote braces.
    return {"type": PydanticCustomError("setting", "{why}", {"why": why}), "loc": place, "input": None}


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings once from the environment and ``.env``.

    Raises:
        pydantic.ValidationError: values do not fit; it names each of them.
    """
    return Settings()
