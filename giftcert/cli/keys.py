"""``giftcert keys`` and ``giftcert token``: the keyring that seals CVCs, and bearer tokens of an embedded stack."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from giftcert.cli.connections import connected, database_settings, send_if_reachable
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, say_progress, say_step, stamp, table
from giftcert.clock import utc_now
from giftcert.embedded.addresses import refuse_embedded_keys, running_stack, started_stack
from giftcert.embedded.state_folder import StackError
from giftcert.lifecycle.key_rotation import KeyRotation
from giftcert.plurals import counted
from giftcert.security.keyring import Keyring
from giftcert.security.keys import EmbeddedKeys, keyring_of, master_key_of
from giftcert.security.master_keys import version_of
from giftcert.security.tokens import Caller, Role, issue_token
from giftcert.settings import Settings, load_settings
from giftcert.storage.data_keys import StoredKey

_COLUMNS = ("data key", "state", "made", "wrapped by", "needed by", "scope")
app = typer.Typer()
keys = typer.Typer(help="The keys that seal CVCs and sign tokens.", cls=Group)
app.add_typer(keys, name="keys")


@keys.command()
def init(as_json: AsJson = False) -> None:
    """Make a keyring at GIFTCERT_KEYRING; where that is not set, the keys of the embedded stack.

    GIFTCERT_MASTER_KEY says where the key is that wraps all others: made if it is a file that is not there yet.
    """
    settings = load_settings()
    if settings.keyring is not None:
        keyring = Keyring.create(settings.keyring, master_key=master_key_of(settings))
        data = {"keyring": str(settings.keyring), "identity": keyring.identity}
        say(data, f"{settings.keyring} made: keep a copy, without it every CVC is lost", as_json=as_json)
        return
    embedded = EmbeddedKeys.of(settings)
    made = embedded.ensure()
    text = f"keys of the embedded stack {'made' if made else 'are there already'}: {embedded.folder}"
    say({"folder": str(embedded.folder), "made": made}, text, as_json=as_json)


@keys.command()
@to_its_end
async def status(as_json: AsJson = False) -> None:
    """Show the keyring, its master key and every data key with what still needs it; nothing secret."""
    keyring = keyring_of(load_settings())
    try:
        settings = database_settings()
    except StackError:
        stored, lines = [], ["no database is known here, so no data keys"]
    else:
        async with connected(settings, "keys") as database:
            stored = await KeyRotation(database, keyring, settings.general_stream_key).usage()
        lines = [table(_COLUMNS, map(_row, stored)) if stored else "there are no data keys yet"]
    data = {
        "keyring": str(keyring.path),
        "origin": keyring.origin,
        "identity": keyring.identity,
        "masterKey": {"place": keyring.master_key.place, "versions": keyring.master_versions()},
        "dataKeys": [_described(one) for one in stored],
    }
    versions = ", ".join(keyring.master_versions()) or "kept by the KMS"
    lines[:0] = [
        f"{keyring.path}: {keyring.origin}, identity {keyring.identity}",
        f"master key {keyring.master_key.place}, versions: {versions}",
    ]
    say(data, "\n".join(lines), as_json=as_json)


@keys.command()
@to_its_end
async def rotate(reason: Why, by: By = None, as_json: AsJson = False) -> None:
    """Make new keys and seal everything anew while the service runs; look-up keys stay.

    A rotation that is under way is carried on; were this command to end, a schedule does so.
    """
    who = operator(by)
    async with _opened() as (rotation, settings):
        if await rotation.unfinished():
            say_step("a rotation is under way: it is carried on")
        else:
            await rotation.begin(who, reason)
        total = sum(one.rows for one in await rotation.usage() if one.retired_at)
        sealed = await rotation.reseal(
            lambda done: say_progress("sealed anew: ", done, total, as_json=as_json)
        )
        await rotation.wake_runs(send_if_reachable, settings.channels[0])
        runs = sum(one.runs for one in await rotation.conclude())
    text = f"{counted(sealed, 'row')} sealed anew"
    text += f"; {counted(runs, 'workflow')} yet to follow, and a schedule sees to it" if runs else ""
    text += (
        "; `giftcert keys status` shows what still needs old keys, `giftcert keys destroy` ends the others"
    )
    say({"resealed": sealed, "runsLeft": runs}, text, as_json=as_json)


@keys.command()
@to_its_end
async def destroy(reason: Why, by: By = None, as_json: AsJson = False) -> None:
    """Destroy the retired keys that nothing in the database needs; an older backup of it may."""
    who = operator(by)
    async with _opened() as (rotation, _):
        destroyed = await rotation.destroy_unneeded(who, reason)
        left = [one for one in await rotation.usage() if one.retired_at and not one.destroyed_at]
    lines = [f"{one} destroyed" for one in destroyed] or ["nothing to destroy"]
    lines += [f"data key {one.key_id} is needed by {_needs(one)}" for one in left]
    data = {"destroyed": destroyed, "needed": [_described(one) for one in left]}
    say(data, "\n".join(lines), as_json=as_json)


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[KeyRotation, Settings]]:
    settings = database_settings()
    refuse_embedded_keys(settings)
    async with connected(settings, "keys") as database:
        yield KeyRotation(database, keyring_of(settings), settings.general_stream_key), settings


def _described(key: StoredKey) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "scope": key.scope,
        "state": _state(key),
        "wrappedBy": version_of(key.wrapped) if key.wrapped else None,
        "createdAt": stamp(key.created_at),
        "rows": key.rows,
        "originals": key.originals,
        "runs": key.runs,
    }


def _row(key: StoredKey) -> tuple[str, ...]:
    wrapped_by = version_of(key.wrapped) if key.wrapped else "-"
    return str(key.key_id), _state(key), stamp(key.created_at) or "", wrapped_by, _needs(key), key.scope


def _needs(key: StoredKey) -> str:
    counts = {"row": key.rows, "original": key.originals, "workflow": key.runs}
    return ", ".join(counted(count, name) for name, count in counts.items() if count) or "nothing"


def _state(key: StoredKey) -> str:
    return "destroyed" if key.destroyed_at else "retired" if key.retired_at else "seals"


@app.command()
@to_its_end
async def token(
    role: Annotated[list[str], typer.Option(help="channel, crm, support or ops; may be repeated")],
    channel: Annotated[list[str] | None, typer.Option(help="For which channels; by default all")] = None,
    subject: Annotated[str | None, typer.Option(help="Who calls; by default the first role")] = None,
    hours: Annotated[int, typer.Option(min=1, max=24 * 366, help="How long it is good")] = 12,
    as_json: AsJson = False,
) -> None:
    """Sign a token with the key of the embedded stack; elsewhere the company's issuer gives them.

    Waits for a stack that is starting.
    """
    settings = load_settings()
    embedded = EmbeddedKeys.of(settings)
    _check_request(settings, embedded, role)
    if channel and Role.CHANNEL not in role:
        raise CommandError("--channel: goes with --role channel")
    channels = _channels(channel, await _known_channels(settings, embedded))
    signed = issue_token(
        embedded.private_key,
        Caller(subject or role[0], frozenset(role), frozenset(channels)),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        now=utc_now(),
        lifetime=timedelta(hours=hours),
    )
    said = {"subject": subject or role[0], "roles": role, "channels": channels, "hours": hours}
    say({"token": signed, **said}, signed, as_json=as_json)


def _check_request(settings: Settings, embedded: EmbeddedKeys, role: Sequence[str]) -> None:
    unknown = [name for name in role if name not in set(Role)]
    if unknown:
        raise CommandError(f"there is no role {unknown[0]}; there are {', '.join(Role)}")
    if settings.jwt_jwks is not None and Path(settings.jwt_jwks).resolve() != embedded.jwks:
        raise CommandError("GIFTCERT_JWT_JWKS names another issuer's keys: tokens come from that issuer")


async def _known_channels(settings: Settings, embedded: EmbeddedKeys) -> Sequence[str]:
    """Return the channels of the running stack, or of the settings where its keys are there and it does not run."""
    if running_stack(settings) is None and embedded.private_key.exists():
        return settings.channels
    try:
        return (await started_stack(settings, say_step)).channels
    except StackError as error:
        raise CommandError(f"{error}, or run `giftcert keys init`") from None


def _channels(wanted: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    strange = [name for name in wanted or () if name not in known]
    if strange:
        raise CommandError(f"there is no channel {strange[0]}; there are {', '.join(known)}")
    return list(wanted or known)
