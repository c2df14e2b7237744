"""``giftcert config``: every setting and its value."""

from typing import Annotated, Any

import typer

from giftcert.cli.output import AsJson, say


def config(
    example: Annotated[bool, typer.Option("--example", help="Print what .env.example holds")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting with its value and whether it was set; secrets are masked."""
    if example:
        from giftcert.cli.example import example as text

        typer.echo(text(), nl=False)
        return
    values, chosen = _values()
    width = max(map(len, values))
    lines = [
        f"{name:<{width}}  {_shown(value)}{'  (set)' * (name in chosen)}" for name, value in values.items()
    ]
    say(values, "\n".join(lines), as_json=as_json)


def _values() -> tuple[dict[str, Any], set[str]]:
    from giftcert.redaction import redact_text
    from giftcert.settings import Settings, load_settings

    settings = load_settings()
    values = settings.model_dump(mode="json")
    if settings.database_url is not None:
        values["database_url"] = redact_text(settings.database_url.get_secret_value())
    shown = {f"GIFTCERT_{name.upper()}": values[name] for name in Settings.model_fields}
    return shown, {f"GIFTCERT_{name.upper()}" for name in settings.model_fields_set}


def _shown(value: object) -> str:
    return "" if value is None else str(value)
