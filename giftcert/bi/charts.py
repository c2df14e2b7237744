"""Charts as pictures within the page: Vega-Lite drawn to SVG, which needs no network and no script to be seen.

Two colours at most, of the palette of Okabe and Ito, one of them dark and one light, and lines of different dash and
points of different shape: colour-blind people, and paper without colours, tell them apart.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import vl_convert

from giftcert.bi.figures import Chart, column
from giftcert.domain.money import digits_of
from giftcert.texts import Language

DARK, LIGHT = "#0072B2", "#E69F00"
_WIDTH, _LEAST, _HEIGHT, _STEP = 640, 420, 200, 60
_INK = "#222222"
_CONFIG = {
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "gridColor": "#dddddd",
        "labelFontSize": 11,
        "titlePadding": 12,
        "labelLimit": 160,
    },
    "legend": {"labelColor": _INK, "labelFontSize": 12, "symbolStrokeWidth": 2, "labelLimit": 300},
}
_DURATIONS = ((172_800, 86_400, 3), (7_200, 3_600, 2), (120, 60, 1), (0, 1, 0))
_UNITS = {"en": ("seconds", "minutes", "hours", "days"), "ru": ("секунды", "минуты", "часы", "дни")}


def draw(chart: Chart, rows: Sequence[dict[str, Any]], title: str, language: Language) -> str | None:
    """Return a figure's rows as SVG; ``None`` where there is nothing to draw. All rows are of one currency."""
    shown = [row for row in rows if row["counted_by"] == chart.over]
    if not any(row[name] for row in shown for name in chart.values):
        return None
    divisor, unit = _scale(chart, shown, language)
    names = [column(name).texts[language] for name in chart.values]
    points = [
        {"key": row["key"], "value": float(row[name] / divisor), "series": text}
        for row in shown
        for name, text in zip(chart.values, names, strict=True)
        if row[name] is not None
    ]
    specification = _specification(chart, points, names, unit, [row["key"] for row in shown])
    svg: str = vl_convert.vegalite_to_svg(specification, format_locale=_LOCALES[language])
    return _within_a_page(svg, title)


def _scale(chart: Chart, rows: Sequence[dict[str, Any]], language: Language) -> tuple[Decimal | int, str]:
    """By what values are divided to be read, and what they are then in."""
    kind = column(chart.values[0]).kind
    if kind == "money":
        currency = rows[0].get("currency") or ""
        return Decimal(10) ** digits_of(currency), currency
    if kind == "duration":
        greatest = max(row[name] or 0 for row in rows for name in chart.values)
        divisor, nth = next((divisor, nth) for least, divisor, nth in _DURATIONS if greatest >= least)
        return divisor, _UNITS[language][nth]
    return 1, ""


def _specification(
    chart: Chart, points: list[dict[str, Any]], names: list[str], unit: str, keys: list[str]
) -> dict[str, Any]:
    few = len(names) == 1
    legend = None if few else {"orient": "top", "title": None, "columnPadding": 30}
    colour = {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": names, "range": [DARK, LIGHT][: len(names)]},
        "legend": legend,
    }
    encoding: dict[str, Any] = {
        "x": {
            "field": "key",
            "type": "ordinal",
            "sort": keys,
            "title": None,
            "axis": {
                "labelAngle": -45 if len(keys) > 4 else 0,
                "labelOverlap": len(keys) > 31,
                "ticks": False,
            },
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": unit or None,
            "axis": {"tickCount": 5, "format": ",~f"},
        },
        "color": colour,
    }
    if chart.kind == "bars":
        encoding["xOffset"] = {"field": "series", "sort": names}
        mark: dict[str, Any] = {"type": "bar", "stroke": _INK, "strokeWidth": 0.5}
        encoding["x"]["scale"] = {"paddingInner": 0.3, "paddingOuter": 0.4 if len(keys) > 2 else 1}
    else:
        encoding["strokeDash"] = colour | {
            "scale": {"domain": names, "range": [[1, 0], [6, 4]][: len(names)]}
        }
        encoding["shape"] = colour | {"scale": {"domain": names, "range": ["circle", "square"][: len(names)]}}
        mark = {"type": "line", "point": {"filled": True, "size": 45}, "strokeWidth": 2}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": max(_LEAST, min(_WIDTH, _STEP * len(keys) * len(names))),
        "height": _HEIGHT,
        "data": {"values": points},
        "mark": mark,
        "encoding": encoding,
        "config": _CONFIG,
    }


_LOCALES = {
    "en": {"decimal": ".", "thousands": ",", "grouping": [3], "currency": ["", ""]},
    "ru": {"decimal": ",", "thousands": "\N{NO-BREAK SPACE}", "grouping": [3], "currency": ["", ""]},
}


def _within_a_page(svg: str, title: str) -> str:
    """Name the picture for who cannot see it, and let it shrink with the page; the table beside it has the values."""
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return re.sub(
        r"<svg ", f'<svg role="img" aria-label="{label}" style="max-width:100%;height:auto" ', svg, count=1
    )
