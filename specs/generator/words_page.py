"""The guide's page that explains every reason: ``python -m specs.generator.words_page > docs/integration/words.md``."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

from giftcert.contracts.field_descriptions import words_of
from giftcert.contracts.payload import camel_case
from giftcert.domain.explained import ExplainedWord
from specs.generator.event_schemas import EventKind, catalogue, sets_of

_HEAD = """\
# Words of the events
Every reason and other word that an event's payload may have: what it means, and what its reader can do. The sets are
open: later versions may add words, so show one that you do not know as it is.
"""


def words_page() -> str:
    """Return the page: a table for each field with words, by event type."""
    parts = [_HEAD]
    for kind in catalogue():
        for field, sets in _fields_with_words(kind):
            rows = words_of(*sets)
            parts += [f"## `{kind.event_type}`: {field}", "| word | meaning |\n|---|---|"]
            parts[-1] += "".join(f"\n| `{word}` | {text} |" for word, text in rows.items())
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _fields_with_words(kind: EventKind) -> Iterator[tuple[str, tuple[type[ExplainedWord], ...]]]:
    hints = [get_type_hints(maker, include_extras=True) for maker in kind.classes]
    for field in fields(kind.classes[0]):
        sets = dict.fromkeys(one for of_maker in hints for one in _sets_in(of_maker[field.name]))
        if sets:
            yield camel_case(field.name), tuple(sets)


def _sets_in(hint: Any) -> tuple[type[ExplainedWord], ...]:  # noqa: ANN401 - an annotation
    """The sets of a field, or of its elements; one that may be null is null in every event of its type."""
    return sets_of(get_args(hint)[0] if get_origin(hint) is tuple else hint)


if __name__ == "__main__":
    sys.stdout.write(words_page())
