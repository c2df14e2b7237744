"""Reading a record that may be malformed, or of a type that we do not know."""

import re
from typing import Protocol, TypeVar

import msgspec

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>\w+)`")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Typed(Protocol):
    @property
    def event_type(self) -> str: ...


T = TypeVar("T")
Message = TypeVar("Message", bound=_Typed)


class MalformedRecord(Exception):  # noqa: N818 - named as the outcome of reading that it is
    """A record that breaks its contract.

    ``reason`` is the stable word of ``error.malformedEvent``: ``emptyValue``, ``invalidJson``, ``missingField``,
    ``invalidField``, ``duplicateLine``, ``duplicateCertificate``, ``overAllocated``, ``certificateMissing``,
    ``refundIdMissing``, ``misspeltKind``, ``unknownChannel``. ``detail`` names the field and what was expected, never
    the value.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class UnknownEventTypeError(Exception):
    """A message of a type that the contract does not name: skipped and counted."""


class _TypeOnly(msgspec.Struct, rename="camel"):
    event_type: str


_TYPE: msgspec.json.Decoder[_TypeOnly] = msgspec.json.Decoder(_TypeOnly)


def read(decoder: msgspec.json.Decoder[T], value: bytes) -> T:
    """Decode a value.

    Raises:
        MalformedRecord: it is no JSON, or does not have the decoder's shape.
    """
    try:
        return decoder.decode(value)
    except _UNREADABLE as error:
        raise _malformed(error) from None  # the original may quote the value


def read_known(decoder: msgspec.json.Decoder[Message], value: bytes | None, types: frozenset[str]) -> Message:
    """Decode a message of one of these types; one of another type may have any shape otherwise.

    Raises:
        UnknownEventTypeError: it is of another type.
        MalformedRecord: as ``read``, and ``emptyValue`` where a null means nothing.
    """
    if value is None:
        raise MalformedRecord("emptyValue", "the record has no value")
    try:
        message = read(decoder, value)
    except MalformedRecord:
        event_type = _type_of(value)
        if event_type is None or event_type in types:
            raise
        raise UnknownEventTypeError(event_type) from None
    if message.event_type not in types:
        raise UnknownEventTypeError(message.event_type)
    return message


def _type_of(value: bytes) -> str | None:
    try:
        return _TYPE.decode(value).event_type
    except _UNREADABLE:
        return None


def _malformed(error: Exception) -> MalformedRecord:
    if not isinstance(error, msgspec.ValidationError):
        return MalformedRecord("invalidJson", "the value is not JSON in UTF-8")
    text = str(error)
    at = _PATH.search(text)
    path = at["path"] if at else ""
    what = text[: at.start()] if at else text
    missing = _MISSING.search(what)
    if missing:
        return MalformedRecord(
            "missingField", f"{'.'.join(filter(None, (path, missing['field'])))}: required"
        )
    if not what.startswith("Expected "):  # such messages quote the value
        what = "expected another value"
    return MalformedRecord("invalidField", f"{path or 'value'}: {what[0].lower()}{what[1:].replace('`', '')}")
