"""Dashboards, rules and the guide for whoever is on call name the same things; promtool's part is check-telemetry."""

import importlib
import re
from pathlib import Path

from prometheus_client import generate_latest

from specs.monitoring.__main__ import FOLDER, files
from specs.monitoring.dashboards import DASHBOARDS
from specs.monitoring.names import rules, served, used

ROOT = Path(__file__).parents[3]
MEASURING = (
    "activities.certificate",
    "api.main",
    "giftcert.dispatch.main",
    "kafka_ingest.main",
)
PARAGRAPH = re.compile(r"^\*\*(Giftcert\w+)\*\* \((page|ticket)\)\. ", re.MULTILINE)


def test_the_dashboards_are_as_the_generator_writes_them() -> None:
    assert {path: path.read_text("utf-8") for path in FOLDER.glob("*.json")} == dict(files()), (
        "`python -m specs.monitoring` writes them"
    )


def test_each_metric_that_is_used_is_measured_somewhere() -> None:
    for name in MEASURING:
        importlib.import_module(name)
    measured = served(generate_latest().decode())
    assert {name for name in used() if name.startswith("giftcert_")} - measured == set()


def test_each_alert_has_its_paragraph_with_its_severity() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text("utf-8")
    alerts = [(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule]
    assert PARAGRAPH.findall(guide) == alerts, "in the same order"
    assert len(set(alerts)) == len(alerts)


def test_each_recorded_series_that_is_used_is_recorded() -> None:
    assert not [name for name in used() if ":" in name]


def test_panels_have_titles_of_their_own_and_say_what_they_show() -> None:
    for dashboard in DASHBOARDS:
        assert len({panel.title for panel in dashboard.panels}) == len(dashboard.panels)
        assert all(panel.says.endswith(".") for panel in dashboard.panels)
