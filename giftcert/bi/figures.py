"""The figures of the report: texts and charts from ``figures.toml``, SQL from ``sql/figures``, one file each."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from giftcert.bi.warehouse import SQL, Rows, Warehouse
from giftcert.texts import Language


@dataclass(frozen=True, slots=True)
class Chart:
    """How a figure is drawn: ``values`` are columns, over the rows counted by ``over``."""

    kind: Literal["bars", "lines"]
    values: Sequence[str]
    over: str = "day"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its texts, by language."""

    name: str
    titles: Mapping[str, str]
    definitions: Mapping[str, str]
    chart: Chart | None

    @property
    def sql(self) -> str:
        """The query, as the documentation shows it and the report runs it."""
        return (SQL / "figures" / f"{self.name}.sql").read_text("utf-8")

    def rows(self, warehouse: Warehouse) -> Rows:
        """Return what the query finds in the days chosen; amounts in minor units."""
        return warehouse.query(self.sql)


@dataclass(frozen=True, slots=True)
class Column:
    """What a column is called, and what its values are."""

    texts: Mapping[str, str]
    kind: Literal["money", "duration", "other"]


@cache
def _texts() -> dict[str, Any]:
    return tomllib.loads((files("giftcert.bi") / "figures.toml").read_text("utf-8"))


def all_figures() -> list[Figure]:
    """Return the figures in the order of the report."""
    return [
        Figure(
            name=one["name"],
            titles={language: one[language]["title"] for language in ("en", "ru")},
            definitions={language: one[language]["definition"] for language in ("en", "ru")},
            chart=Chart(**one["chart"]) if "chart" in one else None,
        )
        for one in _texts()["figure"]
    ]


def column(name: str) -> Column:
    """Return a column by its name in SQL."""
    said = _texts()["columns"][name]
    kind: Literal["money", "duration", "other"] = "other"
    if "money" in said:
        kind = "money"
    elif "duration" in said:
        kind = "duration"
    return Column({"en": said["en"], "ru": said["ru"]}, kind)


def counted_by(name: str, language: Language) -> str:
    """Return the heading of rows that are counted by something."""
    return str(_texts()["counted_by"][name][language])


def words(language: Language) -> dict[str, str]:
    """Return what the page says around the figures."""
    return {name: said[language] for name, said in _texts()["words"].items()}
