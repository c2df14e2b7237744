"""Pages of the integration guide that the code knows best: ``python -m specs.generator.guide_pages`` writes them."""

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from api.problems import Problem
from giftcert.contracts.field_descriptions import words_of
from giftcert.contracts.payload import camel_case
from giftcert.domain.explained import ExplainedWord
from specs.generator.event_schemas import EventKind, catalogue, sets_of

_WORDS = """\
# Words of the events
Every reason and other word that an event's payload may have: what it means, and what its reader can do. The sets are
open: later versions may add words, so show one that you do not know as it is.
"""
_PROBLEMS = """\
# Problems
Every refusal of the HTTP interface is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, and
members that depend on the type. Decide by the last part of `type`, which never changes; one that you do not know,
by its status. `GET /problems/<name>` of a running service explains it. A field that does not fit is named in
`errors`, never its value.

Nothing was changed by a call that was refused. After a 500, a 503 or no answer at all it may have been: the same call
with the same `Idempotency-Key` says.

| status | type | what it means, and what to do |
|---|---|---|
"""


def words_page() -> str:
    """Return the page: a table for each field with words, by event type."""
    parts = [_WORDS]
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


def problems_page() -> str:
    """Return the page: every type of problem with its status, and what its reader is to do."""
    rows = [f"| {one.status} | `{one.slug}` | {one.explanation} |" for one in Problem]
    return _PROBLEMS + "\n".join(rows) + "\n"


PAGES: dict[str, Callable[[], str]] = {"words.md": words_page, "problems.md": problems_page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        Path("docs/integration", name).write_text(page(), encoding="utf-8")
