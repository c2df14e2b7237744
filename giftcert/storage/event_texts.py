"""What of texts may stand in events, which are kept for ever: the last check, of every event before it is written.

An input is processed under its true ids; only the event says a mask instead, the same for the same text.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

from giftcert.contracts.stream import EventRecord
from giftcert.redaction import REDACTED
from giftcert.security.data_keys import Purpose, SealError
from giftcert.security.keyring import Keyring
from giftcert.security.vault import KmsUnavailableError
from giftcert.sensitive_text import (
    REFERENCES,
    cvc_words,
    is_sensitive,
    is_sensitive_reference,
    number_candidates,
    texts_of,
)
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Connection
from giftcert.storage.repository import Repository

_KNOWN = "SELECT number_fingerprint FROM certificate_secrets WHERE number_fingerprint = ANY($1::bytea[])"
_CVC = "SELECT cvc_sealed FROM certificate_secrets WHERE certificate_id = $1"
FieldText: TypeAlias = tuple[str, str]
"""A text with the name of its field before it."""
_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # so that no mask looks like a number


class EventTextRepository(Repository):
    """Knows numbers and CVCs of ours in texts; without a keyring only what looks sensitive."""

    def __init__(self, connection: Connection, keyring: Keyring | None) -> None:
        super().__init__(connection)
        self._keyring = keyring

    async def masked(
        self, records: Sequence[EventRecord], certificate_id: str | None = None
    ) -> Sequence[EventRecord]:
        """Return events of a certificate, or of none, with masks in the place of sensitive texts."""
        texts = {one for record in records for one in _texts(record)}
        masks = await self.masks(texts)
        if certificate_id is not None:
            masks |= await self._masks_of_cvc(texts, certificate_id)
        return [_masked(one, masks) for one in records] if masks else records

    async def masks(self, texts: AbstractSet[FieldText]) -> dict[FieldText, str]:
        """Return what to publish instead of those of these texts that must not be published."""
        found = {one for one in texts if looks_sensitive(*one)}
        return self._masks_for(found | await self._numbers_of_ours(texts - found))

    async def _numbers_of_ours(self, texts: AbstractSet[FieldText]) -> set[FieldText]:
        if self._keyring is None:
            return set()
        suspects = [
            (self._keyring.fingerprint(number), one) for one in texts for number in number_candidates(one[1])
        ]
        rows = await self._fetch(_KNOWN, [number for number, _ in suspects]) if suspects else ()
        known = {row[0] for row in rows}
        return {one for number, one in suspects if number in known}

    async def _masks_of_cvc(self, texts: AbstractSet[FieldText], certificate_id: str) -> dict[FieldText, str]:
        """The same of texts that say the CVC of the certificate that they are about; hardly ever one could."""
        suspects = {one: words for one in texts if self._keyring and (words := cvc_words(*one))}
        sealed = await self._fetchval(_CVC, certificate_id) if suspects else None
        if sealed is None or self._keyring is None:
            return {}
        try:
            keys, owner = DataKeyRepository(self._connection, self._keyring), UUID(certificate_id).bytes
            cvc = await keys.open(sealed, Purpose.CVC, owner)
        except (SealError, KmsUnavailableError):  # who knows
            return self._masks_for(suspects)
        return self._masks_for(one for one, words in suspects.items() if cvc.decode() in words)

    def _masks_for(self, texts: Iterable[FieldText]) -> dict[FieldText, str]:
        return {one: REDACTED if self._keyring is None else mask(one[1], self._keyring) for one in texts}


def looks_sensitive(name: str, text: str) -> bool:
    """Return whether a text may not stand in a field of an event, as far as one sees without knowing our numbers."""
    return is_sensitive_reference(text) if name in REFERENCES else is_sensitive(text)


def mask(text: str, keyring: Keyring) -> str:
    """Return what an event says instead: nothing of the text, and the same again for the same."""
    return f"{REDACTED[:-1]} {keyring.fingerprint(f'mask {text}').hex()[:12].translate(_LETTERS)}]"


def _texts(record: EventRecord) -> list[FieldText]:
    beside = {"channel": record.channel, "eventId": record.cause.event_id if record.cause else None}
    return [*texts_of(beside), *texts_of(record.payload)]


def _masked(record: EventRecord, masks: Mapping[FieldText, str]) -> EventRecord:
    cause, channel = record.cause, _with_masks(record.channel, "channel", masks)
    if cause is not None:
        event_id = _with_masks(cause.event_id, "eventId", masks)
        cause = replace(cause, event_id=event_id, channel=_with_masks(cause.channel, "channel", masks))
    return replace(record, channel=channel, cause=cause, payload=_with_masks(record.payload, "", masks))


def _with_masks(value: Any, name: str, masks: Mapping[FieldText, str]) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case dict():
            return {key: _with_masks(one, key, masks) for key, one in value.items()}
        case list() | tuple():
            return [_with_masks(one, name, masks) for one in value]
        case str():
            return masks.get((name, value), value)
        case _:
            return value
