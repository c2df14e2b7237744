"""``giftcert keys``: the keyring that seals CVCs."""

import typer

from giftcert.cli.output import AsJson, say

app = typer.Typer(help="The keys that seal CVCs and sign tokens.", no_args_is_help=True)


@app.command()
def init(as_json: AsJson = False) -> None:
    """Make a keyring at GIFTCERT_KEYRING; where that is not set, the keys of the embedded stack."""
    from giftcert.security import EmbeddedKeys, Keyring
    from giftcert.settings import load_settings

    settings = load_settings()
    if settings.keyring is not None:
        keyring = Keyring.create(settings.keyring)
        data = {"keyring": str(settings.keyring), "identity": keyring.identity}
        say(data, f"{settings.keyring} made: keep a copy, without it every CVC is lost", as_json=as_json)
        return
    keys = EmbeddedKeys.of(settings)
    made = keys.ensure()
    text = f"keys of the embedded stack {'made' if made else 'are there already'}: {keys.folder}"
    say({"folder": str(keys.folder), "made": made}, text, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show which keyring is in use and its keys by id; nothing secret."""
    from giftcert.security import EmbeddedKeys, keyring_of
    from giftcert.settings import load_settings

    settings = load_settings()
    keyring = keyring_of(settings)
    path = settings.keyring or EmbeddedKeys.of(settings).keyring
    keys = keyring.key_ids()
    data = {"keyring": str(path), "origin": keyring.origin, "identity": keyring.identity, "keys": keys}
    lines = [f"{path}: {keyring.origin}, identity {keyring.identity}"]
    lines += [f"  key {key['id']} {key['status']}{', seals' if key['primary'] else ''}" for key in keys]
    say(data, "\n".join(lines), as_json=as_json)
