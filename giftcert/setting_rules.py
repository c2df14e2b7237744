"""Rules of settings that only fit together; what each must be by itself stands in `Settings`."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from giftcert.settings import Settings


@dataclass(frozen=True, slots=True)
class SettingRule:
    """What one setting must be as long as others are what they are; ``why`` returns what is wrong, if it is."""

    setting: str
    others: tuple[str, ...]
    why: Callable[["Settings"], str | None]


def contradictions(settings: "Settings", wrong: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each setting that others contradict, and why; nothing about those that are ``wrong`` by themselves."""
    for rule in _RULES:
        if {rule.setting, *rule.others}.isdisjoint(wrong) and (why := rule.why(settings)):
            yield rule.setting, why


def _needs_sasl(name: str) -> SettingRule:
    def why(settings: "Settings") -> str | None:
        protocol = settings.kafka_security_protocol
        if not protocol.startswith("SASL_") or getattr(settings, name) is not None:
            return None
        return f"must be set with GIFTCERT_KAFKA_SECURITY_PROTOCOL={protocol}"

    return SettingRule(name, ("kafka_security_protocol",), why)


def _needs(name: str, other: str, what: str) -> SettingRule:
    def why(settings: "Settings") -> str | None:
        if getattr(settings, name) is None or getattr(settings, other) is not None:
            return None
        return f"needs GIFTCERT_{other.upper()}, {what}"

    return SettingRule(name, (other,), why)


def _within_channels(name: str, named: Callable[["Settings"], Collection[str]]) -> SettingRule:
    def why(settings: "Settings") -> str | None:
        unknown = sorted(set(named(settings)) - set(settings.channels))
        return f"names {', '.join(unknown)}, which GIFTCERT_CHANNELS does not" if unknown else None

    return SettingRule(name, ("channels", "payments_format"), why)


def _codes(settings: "Settings") -> Collection[str]:
    return settings.payments_channel_codes.values() if settings.payments_format == "acquirer" else ()


def _lock_grows(settings: "Settings") -> str | None:
    if settings.verification_lock_longest >= settings.verification_lock:
        return None
    return "must not be shorter than GIFTCERT_VERIFICATION_LOCK"


def _fills_up(settings: "Settings") -> str | None:
    if settings.pool_replenish_to is None or settings.pool_replenish_to >= settings.pool_low_threshold:
        return None
    return "must not be less than GIFTCERT_POOL_LOW_THRESHOLD, or the pool stays low"


_RULES = (
    _needs_sasl("kafka_sasl_username"),
    _needs_sasl("kafka_sasl_password"),
    _needs("kafka_ssl_keyfile", "kafka_ssl_certfile", "the certificate whose key it is"),
    _needs("database_owner_url", "database_url", "with which the service connects to the same database"),
    _within_channels("worker_channels", lambda settings: settings.worker_channels or ()),
    _within_channels("direct_spend_channels", lambda settings: settings.direct_spend_channels),
    _within_channels("payments_channel_codes", _codes),
    SettingRule("verification_lock_longest", ("verification_lock",), _lock_grows),
    SettingRule("pool_replenish_to", ("pool_low_threshold",), _fills_up),
)
