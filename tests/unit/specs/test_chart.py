"""The chart, as far as it can be read without helm; `make check-deploy` renders it."""

import json
import re
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.check.manifests import TMP, findings, known_variables, secret_settings
from giftcert import VERSION
from giftcert.settings import Settings
from giftcert.temporal.deployment import DEPLOYMENT
from giftcert.temporal.workflow_starts import task_queue
from tests.unit.specs.mermaid import ROOT

CHART = ROOT / "deploy" / "helm" / "giftcert"
TEMPLATES = {path.name: path.read_text("utf-8") for path in (CHART / "templates").iterdir()}
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
SETTING = re.compile(r"GIFTCERT_[A-Z0-9_]+")


def refused(**changed: object) -> list[str]:
    values = {**deepcopy(VALUES), **changed}
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(values)]


def test_the_values_fit_their_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert refused() == []


@pytest.mark.parametrize("name", sorted(secret_settings() | {"GIFTCERT_KEYRING", "GIFTCERT_API_DRAIN"}))
def test_a_secret_and_what_the_chart_sets_itself_is_no_setting(name: str) -> None:
    assert refused(settings={**VALUES["settings"], name: "x"}) != []


def test_a_misspelt_value_is_refused() -> None:
    assert refused(api={**VALUES["api"], "replica": 3}) != []
    assert refused(workers={}) != []


def test_every_setting_that_the_chart_names_exists() -> None:
    sources = [
        *TEMPLATES.values(),
        *((CHART / name).read_text("utf-8") for name in ("values.yaml", "values.schema.json")),
    ]
    named = {name for source in sources for name in SETTING.findall(source)} - {"GIFTCERT_"}
    assert named - known_variables() == set()
    assert len(named) > 20


def test_what_scalers_look_at_is_what_the_service_uses() -> None:
    defaults = Settings.model_fields
    scalers = TEMPLATES["scaledobjects.yaml"]
    for setting, default in re.findall(r'"GIFTCERT_(TOPIC_\w+)" "(\w+)"', scalers):
        assert defaults[setting.lower()].default == default
    assert f'GIFTCERT_INGEST_GROUP | default "{defaults["ingest_group"].default}"' in scalers
    assert f"taskQueue: {task_queue('{{ $channel }}')}" in scalers
    assert f"workerDeploymentName: {DEPLOYMENT}\n" in scalers
    assert tuple(VALUES["worker"]["channels"]) == defaults["channels"].default


def test_the_chart_is_of_this_version_and_its_pods_are_the_users_of_the_image() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"] == VERSION
    user = re.search(r"useradd --uid (\d+)", (ROOT / "deploy" / "Dockerfile").read_text("utf-8"))
    assert user is not None
    assert f"runAsUser: {user[1]}" in TEMPLATES["_helpers.tpl"]


def test_the_readme_makes_the_secrets_that_the_values_name() -> None:
    readme = (ROOT / "deploy" / "README.md").read_text("utf-8")
    made = dict(re.findall(r"secret generic (\S+) --from-(?:literal|file)=([\w.]+)", readme))
    secrets = VALUES["secrets"]
    named = [*secrets["variables"].values(), *secrets["files"].values(), VALUES["databaseOwner"]]
    assert made == {one["name"]: one["key"] for one in named}


# What the check finds -------------------------------------------------------------------------------


def release(**environment: str) -> list[dict[str, Any]]:
    """An API with its budget, as a cluster would be given it."""
    labels = {"app.kubernetes.io/component": "api"}
    variables = {"GIFTCERT_API_HOST": "0.0.0.0", "GIFTCERT_API_GRACE": "PT10S", "GIFTCERT_API_DRAIN": "PT65S"}  # noqa: S104 - in a pod
    container = {
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": TMP}],
        "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
        "env": [{"name": name, "value": value} for name, value in {**variables, **environment}.items()],
        "ports": [{"name": "http"}],
        "startupProbe": {"httpGet": {"path": "/livez", "port": "http"}},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True},
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "terminationGracePeriodSeconds": 85,
        "topologySpreadConstraints": [
            {"topologyKey": "topology.kubernetes.io/zone"},
            {"topologyKey": "kubernetes.io/hostname"},
        ],
        "containers": [container],
    }
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "giftcert-api"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "giftcert-api"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }
    return [deployment, budget]


def pod_of(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    pod = manifests[0]["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod


def test_a_release_that_is_as_it_should_be_has_no_finding() -> None:
    assert findings(release()) == []


@pytest.mark.parametrize(
    ("path", "value", "finding"),
    [
        (("securityContext", "runAsNonRoot"), False, "its pod may run as root"),
        (("automountServiceAccountToken",), True, "its pod is given a token of the cluster"),
        (("volumes",), [], "it has no /tmp of its own"),
        (("terminationGracePeriodSeconds",), 79, "it is killed before it can end, which takes 80 s"),
        (("topologySpreadConstraints",), [], "all its pods may be on one machine, or in one zone"),
        (
            ("containers", 0, "securityContext", "readOnlyRootFilesystem"),
            False,
            "its root file system can be written, or it may gain rights",
        ),
        (("containers", 0, "securityContext", "capabilities"), {}, "it keeps capabilities"),
        (("containers", 0, "resources", "limits"), {}, "it says not how much memory and processor it takes"),
        (
            ("containers", 0, "readinessProbe", "httpGet", "path"),
            "/healthz",
            "its readinessProbe does not ask /readyz",
        ),
    ],
)
def test_a_pod_that_may_do_too_much_or_is_not_looked_after_is_named(
    path: tuple[str | int, ...], value: object, finding: str
) -> None:
    manifests = release()
    *way, last = path
    place: Any = pod_of(manifests)
    for step in way:
        place = place[step]
    place[last] = value
    assert findings(manifests) == [f"Deployment giftcert-api: {finding}"]


@pytest.mark.parametrize(
    ("variable", "finding"),
    [
        ("GIFTCERT_API_PROT", "GIFTCERT_API_PROT is no setting"),
        ("GIFTCERT_KAFKA_SASL_PASSWORD", "GIFTCERT_KAFKA_SASL_PASSWORD is a secret in clear"),
        ("GIFTCERT_RESERVATION_CAP", "GIFTCERT_RESERVATION_CAP: Input should be a valid integer"),
    ],
)
def test_a_setting_that_does_not_exist_or_fit_and_a_secret_in_clear_are_named(
    variable: str, finding: str
) -> None:
    [found] = findings(release(**{variable: "x"}))
    assert found.startswith(f"Deployment giftcert-api: {finding}")


def test_the_owner_of_the_tables_is_for_the_migration_alone() -> None:
    manifests = release()
    pod_of(manifests)["containers"][0]["env"] = []
    reference = {"name": "GIFTCERT_DATABASE_OWNER_URL", "valueFrom": {"secretKeyRef": {}}}
    for name, variables in (("x-migrate", []), ("x-setup", [reference])):
        job = deepcopy(manifests[0]) | {"kind": "Job", "metadata": {"name": name}}
        job["spec"]["template"]["metadata"]["labels"] = {}
        pod_of([job])["containers"][0]["env"] = variables
        wrong = findings([*manifests, job])
        assert wrong == [f"Job {name}: GIFTCERT_DATABASE_OWNER_URL is for the job migrate, and for it alone"]


@pytest.mark.parametrize(
    ("kind", "spec", "finding"),
    [
        ("ScaledObject", {"scaleTargetRef": {"name": "giftcert-ap"}}, "there is no giftcert-ap to scale"),
        (
            "HorizontalPodAutoscaler",
            {"scaleTargetRef": {"name": "giftcert-api"}},
            "each release sets the replicas of giftcert-api back",
        ),
        ("Service", {"selector": {"app": "other"}}, "it selects no pod"),
        ("NetworkPolicy", {"podSelector": {"matchLabels": {"app": "other"}}}, "it selects no pod"),
    ],
)
def test_what_points_at_nothing_is_named(kind: str, spec: dict[str, Any], finding: str) -> None:
    other = {"kind": kind, "metadata": {"name": "x"}, "spec": spec}
    assert findings([*release(), other]) == [f"{kind} x: {finding}"]


def test_pods_without_a_budget_and_without_a_number_are_named() -> None:
    [deployment, _] = release()
    del deployment["spec"]["replicas"]
    assert findings([deployment]) == [
        "Deployment giftcert-api: all its pods may be evicted at once",
        "Deployment giftcert-api: nothing says how many there are",
    ]
