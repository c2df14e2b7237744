"""Every event type of the stream: who makes it, what its payload holds, what it can be about."""

from dataclasses import dataclass
from enum import StrEnum
from typing import get_args

from giftcert.contracts import notices
from giftcert.domain.certificate.events import PublicEvent


class About(StrEnum):
    """What an event can be about, which settles its key and which fields of the envelope apply."""

    CERTIFICATE = "certificate"
    PRODUCT = "product"
    INPUT = "input"


@dataclass(frozen=True, slots=True)
class EventKind:
    """One event type. Several classes may make it, with the same payload fields."""

    event_type: str
    classes: tuple[type, ...]
    about: frozenset[About]

    @property
    def is_error(self) -> bool:
        """Whether its payload says where an input stands."""
        return self.event_type.startswith("error.")

    @property
    def description(self) -> str:
        """The first line of the docstring of the class that makes it."""
        return (self.classes[0].__doc__ or "").partition("\n")[0].replace("``", "")


# Besides certificates of ours: money for a line whose certificate nobody knows, acts that concern no certificate, and
# what is wrong with a product or with the stream itself.
_ALSO_ABOUT_INPUT = frozenset(
    {"alert.paymentWithoutCertificate", "audit.operatorActed", "alert.invariantViolated"}
)


def catalogue() -> tuple[EventKind, ...]:
    """Return all event types that the code can tell, sorted."""
    made_by: dict[str, tuple[type, ...]] = {}
    for kind in (*get_args(PublicEvent), *get_args(notices.Notice)):
        made_by[kind.type] = (*made_by.get(kind.type, ()), kind)
    return tuple(EventKind(name, made_by[name], _about(name, made_by[name])) for name in sorted(made_by))


def _about(event_type: str, classes: tuple[type, ...]) -> frozenset[About]:
    abouts = frozenset(_about_class(kind) for kind in classes)
    if event_type.startswith("error."):  # an input may be about a certificate of ours, or about none
        return abouts | {About.CERTIFICATE, About.INPUT}
    return abouts | {About.INPUT} if event_type in _ALSO_ABOUT_INPUT else abouts


def _about_class(kind: type) -> About:
    if kind in get_args(notices.ProductNotice):
        return About.PRODUCT
    if kind in get_args(notices.InputNotice):
        return About.INPUT
    return About.CERTIFICATE
