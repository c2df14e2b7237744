"""A dashboard as data, and how Grafana writes it down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_COLUMNS, _HEIGHT = 2, 8
_WIDTH = 24 // _COLUMNS
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_UNITS = {
    "requests/s": "reqps",
    "records/s": "cps",
    "per second": "ops",
    "seconds": "s",
    "share": "percentunit",
    "certificates": "short",
    "cases": "short",
    "records": "short",
    "connections": "short",
    "slots": "short",
    "parts": "short",
    "tasks": "short",
    "pollers": "short",
    "workflows": "short",
    "cores": "short",
    "bytes": "bytes",
}
"""Units as an axis names them, and as Grafana does."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL; ``legend`` names its series, with labels in double braces."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A diagram over time. ``limit``: a value that should not be passed, drawn as a line."""

    title: str
    unit: str
    queries: Sequence[Query]
    says: str
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Diagrams that are looked at together."""

    name: str
    title: str
    panels: Sequence[Panel]


def as_grafana(dashboard: Dashboard) -> dict[str, Any]:
    """Return the model that Grafana imports."""
    return {
        "uid": f"giftcert-{dashboard.name}",
        "title": dashboard.title,
        "tags": ["giftcert"],
        "schemaVersion": 39,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
            ]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "targets": [
            {
                "refId": chr(ord("A") + nth),
                "datasource": _SOURCE,
                "expr": one.expr,
                "legendFormat": one.legend,
            }
            for nth, one in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[panel.unit],
                "custom": {"thresholdsStyle": {"mode": "off" if panel.limit is None else "line"}},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }
