"""``giftcert keys`` and ``giftcert token``: the keyring that seals CVCs, and bearer tokens of an embedded stack."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.output import AsJson, say
from giftcert.clock import utc_now
from giftcert.security.keyring import Keyring
from giftcert.security.keys import EmbeddedKeys, keyring_of
from giftcert.security.tokens import Caller, Role, issue_token
from giftcert.settings import load_settings

app = typer.Typer()
keys = typer.Typer(help="The keys that seal CVCs and sign tokens.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@keys.command()
def init(as_json: AsJson = False) -> None:
    """Make a keyring at GIFTCERT_KEYRING; where that is not set, the keys of the embedded stack."""
    settings = load_settings()
    if settings.keyring is not None:
        keyring = Keyring.create(settings.keyring)
        data = {"keyring": str(settings.keyring), "identity": keyring.identity}
        say(data, f"{settings.keyring} made: keep a copy, without it every CVC is lost", as_json=as_json)
        return
    embedded = EmbeddedKeys.of(settings)
    made = embedded.ensure()
    text = f"keys of the embedded stack {'made' if made else 'are there already'}: {embedded.folder}"
    say({"folder": str(embedded.folder), "made": made}, text, as_json=as_json)


@keys.command()
def status(as_json: AsJson = False) -> None:
    """Show which keyring is in use and its keys by id; nothing secret."""
    settings = load_settings()
    keyring = keyring_of(settings)
    path, ids = settings.keyring or EmbeddedKeys.of(settings).keyring, keyring.key_ids()
    data = {"keyring": str(path), "origin": keyring.origin, "identity": keyring.identity, "keys": ids}
    lines = [f"{path}: {keyring.origin}, identity {keyring.identity}"]
    lines += [f"  key {key['id']} {key['status']}{', seals' if key['primary'] else ''}" for key in ids]
    say(data, "\n".join(lines), as_json=as_json)


@app.command()
def token(
    role: Annotated[list[str], typer.Option(help="channel, crm, support or ops; may be repeated")],
    channel: Annotated[list[str] | None, typer.Option(help="For which channels; by default all")] = None,
    subject: Annotated[str | None, typer.Option(help="Who calls; by default the first role")] = None,
    hours: Annotated[int, typer.Option(min=1, max=24 * 366, help="How long it is good")] = 12,
    as_json: AsJson = False,
) -> None:
    """Sign a token with the key of the embedded stack; elsewhere the company's issuer gives them."""
    settings = load_settings()
    embedded = EmbeddedKeys.of(settings)
    unknown = [name for name in role if name not in set(Role)]
    if unknown:
        raise CommandError(f"there is no role {unknown[0]}; there are {', '.join(Role)}")
    if settings.jwt_jwks is not None and Path(settings.jwt_jwks).resolve() != embedded.jwks:
        raise CommandError("GIFTCERT_JWT_JWKS names another issuer's keys: tokens come from that issuer")
    if not embedded.private_key.exists():
        raise CommandError(
            f"{settings.state_dir} has no keys: start `giftcert up`, or run `giftcert keys init`"
        )
    subject, channels = subject or role[0], list(settings.channels) if channel is None else channel
    signed = issue_token(
        embedded.private_key,
        Caller(subject, frozenset(role), frozenset(channels)),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        now=utc_now(),
        lifetime=timedelta(hours=hours),
    )
    data = {"token": signed, "subject": subject, "roles": role, "channels": channels, "hours": hours}
    say(data, signed, as_json=as_json)
