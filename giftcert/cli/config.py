"""``giftcert config``: every setting, its value and where that is from; or all with their meanings, `.env.example`."""

import json
from typing import Annotated

import typer

from giftcert.cli.output import AsJson, say
from giftcert.embedded.addresses import with_running_stack
from giftcert.redaction import redact_text
from giftcert.setting_sources import given_settings, unknown_settings
from giftcert.settings import Settings, load_settings

app = typer.Typer()
_HEAD = """\
# Every setting, with its default. Copy to .env and take out the '#' of what shall differ.
# Nothing set means embedded: an address that is set makes that part external, and asks for keys of your own.
# Durations are ISO 8601 (PT30M, P7D) or seconds; lists are JSON.
# Temporal's TLS and API key: as in Temporal's own environment configuration (TEMPORAL_TLS, TEMPORAL_API_KEY, ...).
# Written by `giftcert config --example`.
"""


@app.command()
def config(
    example: Annotated[bool, typer.Option("--example", help="Print what .env.example holds")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its value and where that is from; secrets are masked."""
    if example:
        say(_described(), env_example().rstrip(), as_json=as_json)
        return
    settings, given = load_settings(), given_settings()
    own, used = _shown(settings), _shown(with_running_stack(settings, needed=()))
    places = {
        name: "default" if used[name] == own[name] else f"the stack on {settings.state_dir}"
        for name in Settings.model_fields
    } | {name: one.place for name, one in given.items()}
    values = {_variable(name): {"value": used[name], "from": place} for name, place in places.items()}
    unknown, width = unknown_settings(), max(map(len, values))
    lines = [
        f"{_variable(name):<{width}}  {_as_text(used[name])}{f'  ({place})' if place != 'default' else ''}"
        for name, place in places.items()
    ]
    say({"settings": values, "unknown": unknown}, "\n".join([*lines, *unknown]), as_json=as_json)


def _shown(settings: Settings) -> dict[str, object]:
    """Return the value of each setting; secrets are masked, and of an address only its password."""
    shown = settings.model_dump(mode="json")
    for name in ("database_url", "database_owner_url"):
        if (url := getattr(settings, name)) is not None:
            shown[name] = redact_text(url.get_secret_value())
    return shown


def _described() -> list[dict[str, object]]:
    defaults = Settings.model_construct().model_dump(mode="json")
    return [
        {"name": _variable(name), "default": defaults[name], "description": field.description}
        for name, field in Settings.model_fields.items()
    ]


def env_example() -> str:
    """Return the text of `.env.example`."""
    defaults = Settings.model_construct().model_dump(mode="json")
    entries = []
    for name, field in Settings.model_fields.items():
        comment = f"# {field.description}\n" if field.description else ""
        entries.append(f"\n{comment}#{_variable(name)}={_as_text(defaults[name])}\n")
    return _HEAD + "".join(entries)


def _variable(name: str) -> str:
    return f"GIFTCERT_{name.upper()}"


def _as_text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
