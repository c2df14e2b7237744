"""What commands say: lines for people, or JSON for programs."""

import json
from typing import Annotated, Any, TypeAlias

import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON")]


def say(data: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401 - any JSON
    """Print the data as one line of JSON, or the text."""
    typer.echo(json.dumps(data, ensure_ascii=False, default=str) if as_json else text)
