"""``giftcert config``: every setting and its value."""

from typing import Any

from pydantic_core import to_jsonable_python

from giftcert.cli.output import AsJson, say


def config(as_json: AsJson = False) -> None:
    """Show every setting with its value and whether it was set; secrets are masked."""
    from giftcert.settings import Settings, load_settings

    settings = load_settings()
    values: dict[str, Any] = {
        f"GIFTCERT_{name.upper()}": to_jsonable_python(getattr(settings, name), serialize_unknown=True)
        for name in Settings.model_fields
    }
    chosen = {f"GIFTCERT_{name.upper()}" for name in settings.model_fields_set}
    width = max(map(len, values))
    lines = [
        f"{name:<{width}}  {_shown(value)}{'  (set)' if name in chosen else ''}"
        for name, value in values.items()
    ]
    say(values, "\n".join(lines), as_json=as_json)


def _shown(value: object) -> str:
    return "" if value is None else str(value)
