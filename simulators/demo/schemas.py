"""Validates the stream by the schemas that the service publishes, as a partner would."""

import json
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

from simulators.demo.findings import Finding, none_of
from simulators.demo.journal import Journal

SCHEMAS = Path(__file__).parents[2] / "specs" / "schemas"


def judge_schemas(journal: Journal) -> Finding:
    """Return whether every event of this run is as its published schema says."""
    published = [text for texts in journal.texts.values() for text in texts]
    faults = [fault for text in published if (fault := _fault(text)) is not None]
    return none_of(f"Of {len(published):,} events, those that are not as their published schema says", faults)


def _fault(text: str) -> str | None:
    event = json.loads(text)
    validator = _validator_of(event["eventType"])
    if validator is None:
        return f"{event['eventType']} has no schema"
    error = next(validator.iter_errors(event), None)
    return f"{event['eventType']}: {error.json_path} {error.message}" if error else None


@cache
def _validator_of(event_type: str) -> Draft202012Validator | None:
    path = SCHEMAS / f"{event_type}.json"
    if not path.exists():
        return None
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(json.loads(path.read_text("utf-8")), format_checker=checker)
