"""``python -m deploy.check``: render the chart with several values, and check it as a cluster would.

Needs Go, which builds helm, and Node.js with npm for the schemas of KEDA and of the operator of Prometheus. A check
whose tools are missing is left out, with one line.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from deploy.check.manifests import findings
from specs.check.tools import GO, NODE, NPM, CheckError, Tool, UnreachableError, fetch, run

HERE = Path(__file__).parent
CHART = HERE.parent / "helm" / "giftcert"
ROOT = HERE.parent.parent
HELM = ROOT / ".build" / "deploy" / "helm"
VALUES = sorted((HERE / "values").glob("*.yaml"))
KUBERNETES = ("1.29", "1.33", "1.37")
"""The oldest that the chart is for, one between, and the newest whose schemas are here."""
OTHERS = ("keda.sh/", "monitoring.coreos.com/")
BY_SCHEMA = "don't meet the specifications of the schema"
REFUSED = {
    "a secret among the settings": {"settings": {"GIFTCERT_DATABASE_URL": "postgresql://x"}},
    "a misspelt value": {"api": {"replica": 3}},
    "one API alone": {"api": {"replicas": 1}},
    "an image that changes under its name": {"image": {"tag": "latest"}},
    "an ingress without a host": {"api": {"ingress": {"enabled": True}}},
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it is called, what it needs, and what it does; it returns what it found to be well."""

    name: str
    needs: tuple[Tool, ...]
    work: Callable[[], str]


def check_lint() -> str:
    """Lint the chart by helm's strict rules, with each of the values."""
    for values in VALUES:
        run([helm(), "lint", "--strict", "--quiet", CHART, "--values", values], ROOT)
    return f"{len(VALUES)} sets of values"


def check_kubernetes() -> str:
    """Compare every manifest with Kubernetes' schemas, in which nothing may stand that they do not name."""
    wrong, count = [], 0
    for values in VALUES:
        for version in KUBERNETES:
            for manifest in rendered(values, version):
                if manifest["apiVersion"].startswith(OTHERS):
                    continue
                count += 1
                try:
                    kubernetes_validate.validate(manifest, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    where = ".".join(map(str, error.absolute_path))
                    wrong.append(
                        f"{values.stem}: {named(manifest)}, Kubernetes {version}: {where}: {error.message}"
                    )
    if wrong:
        raise CheckError("\n".join(wrong))
    return f"{count} manifests, Kubernetes {', '.join(KUBERNETES)}"


def check_operators() -> str:
    """Compare what KEDA and the operator of Prometheus act on with their schemas."""
    fetch("npm packages", ["npm", "ci", "--ignore-scripts", "--silent"], HERE / "node")
    manifests = [one for values in VALUES for one in rendered(values) if one["apiVersion"].startswith(OTHERS)]
    given = ROOT / ".build" / "deploy" / "operators.json"
    given.write_text(json.dumps(manifests), encoding="utf-8")
    run(["node", "models.mjs", given], HERE / "node")
    return ", ".join(sorted({one["kind"] for one in manifests}))


def check_service() -> str:
    """Check what the service asks: settings that exist, secrets by reference, no root, time to end, budgets."""
    wrong = [f"{values.stem}: {line}" for values in VALUES for line in findings(rendered(values))]
    if wrong:
        raise CheckError("\n".join(wrong))
    return f"{sum(len(list(rendered(values))) for values in VALUES)} manifests"


def check_refusals() -> str:
    """See values refused that would not work, or would show a secret."""
    folder = ROOT / ".build" / "deploy"
    for what, values in REFUSED.items():
        given = folder / "refused.json"
        given.write_text(json.dumps(values), encoding="utf-8")
        try:
            template(given)
        except CheckError as error:
            if BY_SCHEMA not in str(error):
                raise
        else:
            raise CheckError(f"taken, which should be refused: {what}")
    return ", ".join(REFUSED)


CHECKS = (
    Check("lint", (GO,), check_lint),
    Check("kubernetes", (GO,), check_kubernetes),
    Check("operators", (GO, NODE, NPM), check_operators),
    Check("service", (GO,), check_service),
    Check("refusals", (GO,), check_refusals),
)


def helm() -> Path:
    """Return helm, built into this project's own folder; some minutes, this once."""
    if not HELM.exists():
        HELM.parent.mkdir(parents=True, exist_ok=True)
        fetch("Go modules", ["go", "mod", "download"], HERE / "helm")
        print("building helm, this once: some minutes", flush=True)
        run(["go", "build", "-o", HELM, "helm.sh/helm/v3/cmd/helm"], HERE / "helm")
    return HELM


def rendered(values: Path, kubernetes: str = KUBERNETES[-1]) -> Iterator[dict[str, Any]]:
    """Return the manifests of a release with these values."""
    printed = template(values, kubernetes)
    documents = printed[printed.index("---") :]  # helm says before it which links it followed
    yield from (one for one in yaml.safe_load_all(documents) if one)


def template(values: Path, kubernetes: str = KUBERNETES[-1]) -> str:
    """Return what helm renders for a version of Kubernetes; raises `CheckError`."""
    version = ("--kube-version", f"{kubernetes}.0")
    return run(
        [helm(), "template", "giftcert", CHART, "--namespace", "giftcert", "--values", values, *version], ROOT
    )


def named(manifest: dict[str, Any]) -> str:
    """Return kind and name, as people speak of it."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print a line for each, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="make check-deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(check.name for check in CHECKS))
    names = parser.parse_args(arguments).names
    if unknown := set(names) - {check.name for check in CHECKS}:
        parser.error(f"no such check: {', '.join(sorted(unknown))}")
    results = [outcome_of(check) for check in CHECKS if not names or check.name in names]
    return 0 if all(results) else 1


def outcome_of(check: Check) -> bool:
    """Run a check where its tools are, print its line, and return whether all is well."""
    began = time.monotonic()
    if missing := [tool.missing for tool in check.needs if tool.missing]:
        print(f"{check.name:<11} left out: needs {', '.join(missing)}")
        return True
    try:
        found = check.work()
    except UnreachableError as error:
        print(f"{check.name:<11} left out: needs {error}")
        return True
    except CheckError as error:
        print(f"{check.name:<11} FAILED\n{error}")
        return False
    print(f"{check.name:<11} ok, {time.monotonic() - began:.0f} s: {found}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
