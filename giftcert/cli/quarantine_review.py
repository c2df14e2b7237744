"""The quarantine as its commands open it: records are shown, replayed and dismissed in somebody's name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.cli.errors import CommandError
from giftcert.cli.lifecycle import service_policy
from giftcert.cli.quarantine_report import position
from giftcert.cli.server_errors import reaching_database
from giftcert.clock import utc_now
from giftcert.contracts.notices import about_input, input_key
from giftcert.domain.certificate.events import OperatorActed
from giftcert.domain.policy import Policy
from giftcert.embedded.addresses import with_database
from giftcert.embedded.key_rule import refuse_embedded_keys
from giftcert.security import Keyring, keyring_of
from giftcert.settings import Settings, load_settings
from giftcert.storage.engine import make_engine
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine import (
    BEGINNING,
    Place,
    QuarantineRepository,
    StoredRecord,
    Wanted,
)
from kafka_ingest.records import InputRecord
from kafka_ingest.replay import Replay, Replayed, opened
from kafka_ingest.transaction import IngestRules

PAGE = 500


@dataclass(frozen=True, slots=True)
class OpenedQuarantine:
    """The database, and what it takes to open its records and to replay them."""

    engine: AsyncEngine
    settings: Settings

    @property
    def rules(self) -> IngestRules:
        """By what ingest reads records."""
        return IngestRules.of(self.settings, self.keyring)

    def replaying(self, who: str, policy: Policy | None = None) -> Replay:
        """Return what dismisses in the name of somebody and, by the policy of the service, replays."""
        return Replay(self.engine, replace(self.rules, policy=policy or self.settings.policy), who)

    @property
    def keyring(self) -> Keyring:
        """The keyring that seals what lies there.

        Raises:
            KeyFileError: it cannot be read.
            StackError: it is that of an embedded stack, and the database is not.
        """
        refuse_embedded_keys(self.settings)
        return keyring_of(self.settings)

    async def open(self, place: Place) -> tuple[StoredRecord, InputRecord]:
        """Return a record as it lies there, and as it stood in its topic.

        Raises:
            CommandError: there is none at this place.
            SealError: the keyring is not the one it was sealed by.
        """
        async with self.engine.connect() as connection:
            stored = await QuarantineRepository(connection).find(place)
        if stored is None:
            raise CommandError(f"nothing of {position(place)} lies in quarantine")
        return stored, opened(stored, self.keyring)

    async def record_act(self, place: Place, who: str, what: str) -> None:
        """Tell the stream what somebody did with a record, before it is done."""
        event = about_input(OperatorActed(who=who, what=what), utc_now())
        async with self.engine.begin() as connection:
            await EventRepository(connection).append_keyed(input_key(*place[:2]), [event])

    async def replay(self, wanted: Wanted, who: str) -> AsyncIterator[Replayed]:
        """Replay all records that are meant, page by page, and yield what comes of each.

        Raises:
            CommandError: the policy of the service is not known.
        """
        replay = self.replaying(who, await service_policy(self.engine))
        behind = BEGINNING
        while True:
            async with self.engine.connect() as connection:
                page = await QuarantineRepository(connection).page(wanted, behind, PAGE)
            for place in dict.fromkeys(one.place for one in page):
                for outcome in await replay.replay(place):
                    yield outcome
            if len(page) < PAGE:
                return
            behind = page[-1].place


@asynccontextmanager
async def opened_quarantine() -> AsyncIterator[OpenedQuarantine]:
    """Open the database that the settings name, or that of the running stack.

    Raises:
        CommandError: it cannot be used.
        StackError: there is none.
    """
    settings, url = with_database(load_settings())
    engine = make_engine(settings, "giftcert-quarantine")
    try:
        with reaching_database(url):
            yield OpenedQuarantine(engine, settings)
    finally:
        await engine.dispose()
