"""Types of settings that check what a text of the environment says, by themselves."""

import json
import re
from datetime import timedelta
from typing import Annotated, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

from giftcert.domain.rate_limits import RateLimit

_HOST, _PORT = r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])", r":\d{1,5}"


def rate_of(text: str) -> RateLimit:
    """Return how many in which time a text such as ``100/minute`` allows.

    Raises:
        ValueError: it is no such text.
    """
    from limits import parse  # noqa: PLC0415 - loaded only where it is needed

    try:
        parsed = parse(text)
    except ValueError:
        raise ValueError("must be a number per time, such as 100/minute") from None
    return RateLimit(parsed.amount, timedelta(seconds=parsed.get_expiry()))


def _checked_rate(text: str) -> str:
    rate_of(text)
    return text


Rate: TypeAlias = Annotated[str, AfterValidator(_checked_rate)]


def _seconds_or_text(given: object) -> object:
    """Return plain seconds as a number, which pydantic takes; in a variable of the environment they are a text."""
    return float(given) if isinstance(given, str) and re.fullmatch(r"\d{1,12}(\.\d+)?", given) else given


Duration: TypeAlias = Annotated[timedelta, BeforeValidator(_seconds_or_text)]


def _from_json(given: object) -> object:
    """Return what a text holds as JSON; a validator, so that it is reported together with all else that is wrong."""
    try:
        return json.loads(given) if isinstance(given, str) else given
    except ValueError:
        raise ValueError("must be JSON, as in .env.example") from None


FromJson = BeforeValidator(_from_json)
Channels: TypeAlias = Annotated[tuple[str, ...], FromJson]


def _time_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ValueError("must be a time zone of IANA, such as Europe/Moscow") from None


TimeZone: TypeAlias = Annotated[str, AfterValidator(_time_zone)]


def _host_with_port(address: str) -> str:
    if not re.fullmatch(_HOST + _PORT, address):
        raise ValueError("must be host:port")
    return address


HostWithPort: TypeAlias = Annotated[str, AfterValidator(_host_with_port)]


def _brokers(addresses: str) -> str:
    if not all(re.fullmatch(f"{_HOST}({_PORT})?", one.strip()) for one in addresses.split(",")):
        raise ValueError("must be host:port[,host:port]")
    return addresses


Brokers: TypeAlias = Annotated[str, AfterValidator(_brokers)]
