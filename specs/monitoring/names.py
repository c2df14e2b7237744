"""Names of metrics: which the dashboards and rules use, and which a process serves."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from specs.monitoring.dashboards import DASHBOARDS

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES = (MONITORING / "slos.yaml", MONITORING / "alerts.yaml")
RARE = {
    "temporal_workflow_failed_total",
    "temporal_workflow_continue_as_new_total",
    "temporal_workflow_task_execution_failed_total",
    "temporal_request_failure_total",
}
"""Temporal serves these only once they have happened (SDK metrics reference): no demo makes them all."""
_NAME = re.compile(r"(?<![\w:\"])(?:giftcert|temporal|process|python)[_:][\w:]+")
_QUOTED = re.compile(r'"[^"]*"')
_FAMILY = re.compile(r"^# TYPE (\S+) (\S+)", re.MULTILINE)
_SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


def rules() -> Iterator[dict[str, Any]]:
    """Yield each rule as it stands in its file."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from group["rules"]


def queries() -> Iterator[str]:
    """Yield each query of dashboards and rules, such as Prometheus takes it."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield from (one.expr.replace("$__rate_interval", "5m") for one in panel.queries)
    yield from (rule["expr"] for rule in rules())


def used() -> set[str]:
    """Return the names of all metrics that queries need and no rule records."""
    names = {name for query in queries() for name in _NAME.findall(_QUOTED.sub('""', query))}
    return names - {rule["record"] for rule in rules() if "record" in rule}


def served(exposition: str) -> set[str]:
    """Return the names of the samples that an exposition holds or may hold."""
    return {
        name + suffix for name, kind in _FAMILY.findall(exposition) for suffix in _SUFFIXES.get(kind, ("",))
    }
