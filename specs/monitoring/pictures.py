"""Pictures of the dashboards: each panel's queries over a while, drawn by Vega-Lite (ADR 90), without Grafana."""

import math
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import vl_convert
from PIL import Image

from specs.monitoring.dashboards import DASHBOARDS
from specs.monitoring.panels import Dashboard, Panel, Query

_STEP_SECONDS, _RATE_SECONDS = 2, 10
_WIDTH, _HEIGHT, _COLUMNS = 430, 150, 2
_MOST_SERIES = 8
_INK, _RED = "#222222", "#D55E00"
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#D55E00", "#B2A000")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
_LABEL = re.compile(r"\{\{(\w+)\}\}")


def draw_all(url: str, began: float, ended: float, folder: Path) -> Iterator[Path]:
    """Draw each dashboard as Prometheus saw it between two instants (seconds since 1970); yield the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=url, timeout=30) as prometheus:
        for dashboard in DASHBOARDS:
            points = {
                panel.title: [
                    point for query in panel.queries for point in _points(prometheus, query, began, ended)
                ]
                for panel in dashboard.panels
            }
            path = folder / f"{dashboard.name}.png"
            _save(vl_convert.vegalite_to_png(_specification(dashboard, points), scale=1.5), path)
            yield path


def _save(picture: bytes, path: Path) -> None:
    """Save a picture with a palette: a third of the bytes, and nothing that can be seen is lost."""
    with Image.open(BytesIO(picture)) as drawn:
        drawn.convert("RGB").quantize(128).save(path, optimize=True)


def _points(prometheus: httpx.Client, query: Query, began: float, ended: float) -> Iterator[dict[str, Any]]:
    asked: dict[str, str | float] = {
        "query": query.expr.replace("$__rate_interval", f"{_RATE_SECONDS}s"),
        "start": began,
        "end": ended,
        "step": _STEP_SECONDS,
    }
    answer = prometheus.get("/api/v1/query_range", params=asked).raise_for_status().json()
    for series in answer["data"]["result"]:
        name = _named(query.legend, series["metric"])
        for at, text in series["values"]:
            value = float(text)
            if math.isfinite(value):
                yield {"seconds": at - began, "value": value, "series": name}


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return _LABEL.sub(lambda found: labels.get(found[1], ""), legend)


def _specification(dashboard: Dashboard, points: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": dashboard.title, "anchor": "start", "fontSize": 20, "offset": 16, "color": _INK},
        "background": "white",
        "padding": 16,
        "columns": _COLUMNS,
        "spacing": 28,
        "concat": [_panel(panel, points[panel.title]) for panel in dashboard.panels],
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}},
        "config": {
            "font": "sans-serif",
            "axis": {
                "labelColor": _INK,
                "titleColor": _INK,
                "gridColor": "#e4e4e4",
                "titleFontWeight": "normal",
            },
            "legend": {"labelColor": _INK, "labelFontSize": 11, "labelLimit": 230},
            "view": {"stroke": "#cccccc"},
        },
    }


def _panel(panel: Panel, points: list[dict[str, Any]]) -> dict[str, Any]:
    peaks: dict[str, float] = {}
    for point in points:
        peaks[point["series"]] = max(point["value"], peaks.get(point["series"], 0.0))
    peak = max(peaks.values(), default=0.0)
    shown = sorted(peaks, key=lambda name: -peaks[name])[:_MOST_SERIES]
    rest = len(peaks) - len(shown)
    notes = [panel.says, *([f"The {len(shown)} greatest of {len(peaks)} series."] if rest else [])]
    if not points:
        notes.append("Nothing of it happened in this run.")
    return {
        "title": {
            "text": panel.title,
            "subtitle": notes,
            "anchor": "start",
            "frame": "group",
            "fontSize": 14,
            "subtitleFontSize": 10.5,
            "subtitleColor": "#555555",
            "color": _INK,
        },
        "width": _WIDTH,
        "height": _HEIGHT,
        "data": {
            "values": [point for point in points if point["series"] in shown]
            or [{"seconds": 0, "value": None}]
        },
        "layer": [_lines(panel, shown, peak), *_limit(panel, peak)],
    }


def _lines(panel: Panel, shown: list[str], peak: float) -> dict[str, Any]:
    colours = [_COLOURS[nth % len(_COLOURS)] for nth in range(len(shown))]
    dashes = [_DASHES[nth % len(_DASHES)] for nth in range(len(shown))]
    legend = {"orient": "bottom", "title": None, "columns": 2, "symbolStrokeWidth": 2}
    encoding: dict[str, Any] = {
        "x": {
            "field": "seconds",
            "type": "quantitative",
            "title": "seconds since the demo began",
            "axis": {"grid": False, "labels": bool(shown), "ticks": bool(shown)},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": panel.unit,
            "axis": {"tickCount": 5, "format": _format(panel)},
            "scale": {
                "domain": [0, 1.05 * (max(peak, _limit_near(panel, peak)) or panel.limit or 1)],
                "nice": True,
            },
        },
    }
    if shown:
        encoding["color"] = {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": shown, "range": colours},
            "legend": legend,
        }
        encoding["strokeDash"] = {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": shown, "range": dashes},
            "legend": legend,
        }
    return {"mark": {"type": "line", "strokeWidth": 1.8, "clip": True}, "encoding": encoding}


def _format(panel: Panel) -> str:
    return {"share": ".2%", "bytes": ".3s"}.get(panel.unit, ",.3~r")


def _limit_near(panel: Panel, peak: float) -> float:
    """Return the limit where values come near it, else 0: far above them it would flatten the lines."""
    return panel.limit if panel.limit is not None and peak * 4 >= panel.limit else 0.0


def _limit(panel: Panel, peak: float) -> Iterator[dict[str, Any]]:
    if _limit_near(panel, peak):
        yield {
            "mark": {"type": "rule", "color": _RED, "strokeDash": [4, 3]},
            "encoding": {"y": {"datum": panel.limit}},
        }
