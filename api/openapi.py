"""Writes the OpenAPI document: ``python -m api.openapi > specs/openapi.json``."""

import json
import sys

from api.main import create_app
from giftcert.settings import Settings


def render() -> str:
    """Return the document as it is checked in: of an API that serves everything."""
    document = create_app(Settings(_env_file=None, serve_metrics=True, serve_docs=True)).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
