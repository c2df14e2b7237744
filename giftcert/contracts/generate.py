"""Write what partners read: ``python -m giftcert.contracts.generate [FOLDER]`` makes ``specs`` anew from the code.

The examples beside the schemas are kept by hand; tests hold them to what the code writes.
"""

import sys
from pathlib import Path

import msgspec
import yaml

from giftcert.contracts.specification.asyncapi import asyncapi
from giftcert.contracts.specification.catalogue import catalogue
from giftcert.contracts.specification.event_schemas import event_schema
from giftcert.contracts.specification.input_schemas import input_schemas

CONTRACT_VERSION = "1.0.0"
"""Of the document: the middle number rises with each addition, the first never without a new schemaVersion."""


def files() -> dict[Path, str]:
    """Return every generated file, by its path under the folder of specifications."""
    kinds = catalogue()
    schemas = input_schemas() | {kind.event_type: event_schema(kind) for kind in kinds}
    # What stands twice in the document is written twice, without anchors of YAML.
    document = msgspec.json.decode(msgspec.json.encode(asyncapi(kinds, CONTRACT_VERSION)))
    return {
        **{Path(f"schemas/{name}.json"): _json(schema) for name, schema in schemas.items()},
        Path("asyncapi.yaml"): yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110),
    }


def main(folder: Path) -> None:
    """Write the files; schemas of messages that no longer exist are removed."""
    made = files()
    for old in (folder / "schemas").glob("*.json"):
        if old.relative_to(folder) not in made:
            old.unlink()
    for path, text in made.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "specs"))
