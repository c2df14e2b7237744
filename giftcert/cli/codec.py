"""``giftcert codec``: keys that encrypt payloads in Temporal, and the server that opens them for support."""

from pathlib import Path
from typing import Annotated

import typer

from giftcert.cli.event_loop import run_until_stopped
from giftcert.cli.groups import Group
from giftcert.cli.output import AsJson, LogJson, say
from giftcert.embedded.addresses import with_running_stack
from giftcert.logs import configure_logging
from giftcert.settings import load_settings
from giftcert.temporal.payload_codec import create_payload_keys

app = typer.Typer()
codec = typer.Typer(help="Encrypted payloads in Temporal's histories.", cls=Group)
app.add_typer(codec, name="codec")


@codec.command()
def keys(
    file: Annotated[Path, typer.Argument(help="A new file, for GIFTCERT_TEMPORAL_PAYLOAD_KEYS")],
    after: Annotated[
        Path | None, typer.Option(help="The file so far: its keys go on opening what they encrypted")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a keyset for payloads, or the next one of a rotation; nothing is replaced."""
    key_id = create_payload_keys(file, after)
    text = f"{file} made, key {key_id} encrypts: keep a copy, without it no history can be replayed"
    say({"file": str(file), "keyId": key_id}, text, as_json=as_json)


@codec.command()
def serve(as_json: LogJson = False) -> None:
    """Open payloads for Temporal's Web UI and command line, at GIFTCERT_CODEC_HOST and _PORT, until stopped."""
    from api.codec_server import serve as serve_codec  # noqa: PLC0415 - the other command needs no HTTP

    async def work() -> None:
        settings = with_running_stack(load_settings(), [])
        settings = settings.model_copy(update={"log_json": as_json or settings.log_json})
        configure_logging(settings, "codec")
        await serve_codec(settings)

    run_until_stopped(work)
