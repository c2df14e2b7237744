"""``giftcert config``: every setting and its value, or with its meaning and default, which is `.env.example`."""

import json
from typing import Annotated

import typer

from giftcert.cli.output import AsJson, say
from giftcert.redaction import redact_text
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
    """Show every setting with its value and whether it was set; secrets are masked."""
    if example:
        say(_described(), env_example().rstrip(), as_json=as_json)
        return
    settings = load_settings()
    shown = settings.model_dump(mode="json")
    for name, url in (
        ("database_url", settings.database_url),
        ("database_owner_url", settings.database_owner_url),
    ):
        if url is not None:
            shown[name] = redact_text(url.get_secret_value())
    values = {_variable(name): shown[name] for name in Settings.model_fields}
    chosen, width = set(map(_variable, settings.model_fields_set)), max(map(len, values))
    lines = [
        f"{name:<{width}}  {'' if value is None else value}{'  (set)' * (name in chosen)}"
        for name, value in values.items()
    ]
    say(values, "\n".join(lines), as_json=as_json)


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
