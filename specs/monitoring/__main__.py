"""``python -m specs.monitoring``: write the dashboards of ``deploy/monitoring/dashboards`` anew."""

import json
from collections.abc import Mapping
from pathlib import Path

from specs.monitoring.dashboards import DASHBOARDS
from specs.monitoring.panels import as_grafana

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring" / "dashboards"


def files() -> Mapping[Path, str]:
    """Return what each file has to hold."""
    return {
        FOLDER / f"{one.name}.json": json.dumps(as_grafana(one), indent=2, ensure_ascii=False) + "\n"
        for one in DASHBOARDS
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
