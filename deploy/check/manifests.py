"""What the service asks of the manifests of a release, beyond that Kubernetes takes them."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from unittest.mock import patch

from pydantic import SecretStr, ValidationError

from giftcert.settings import Settings

Manifest: TypeAlias = Mapping[str, Any]
SECONDS_TO_END = 5
"""What a process takes to end, once its connections have drained."""
TMP = "/tmp"  # noqa: S108 - of a container
OWNER_URL = "GIFTCERT_DATABASE_OWNER_URL"
STAND_INS = dict.fromkeys(("GIFTCERT_DATABASE_URL", OWNER_URL), "postgresql://secret")
"""Of secrets that have to look like something."""
_PREFIX = "GIFTCERT_"
_OTHER_VARIABLES = {"GIFTCERT_BUILD_ID"}
"""Read from the environment itself."""


def findings(manifests: Iterable[Manifest]) -> list[str]:
    """Return one line for each thing that is wrong with the manifests of one release."""
    all_of_them = list(manifests)
    return [
        f"{manifest['kind']} {manifest['metadata']['name']}: {finding}"
        for manifest in all_of_them
        for finding in (*_of_pods(manifest), *_of_references(manifest, all_of_them))
    ]


def secret_settings() -> frozenset[str]:
    """Return the variables whose value is a secret, by the types of the settings."""
    return frozenset(
        f"{_PREFIX}{name.upper()}"
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))
    )


def known_variables() -> frozenset[str]:
    """Return the variables that the service reads."""
    return frozenset(f"{_PREFIX}{name.upper()}" for name in Settings.model_fields) | _OTHER_VARIABLES


def _of_pods(manifest: Manifest) -> Iterator[str]:
    if manifest["kind"] not in {"Deployment", "Job"}:
        return
    pod = manifest["spec"]["template"]["spec"]
    if not pod["securityContext"].get("runAsNonRoot"):
        yield "its pod may run as root"
    if pod.get("automountServiceAccountToken", True):
        yield "its pod is given a token of the cluster"
    emptied = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    for container in pod["containers"]:
        yield from _of_container(container, emptied)
    if manifest["kind"] == "Deployment":
        yield from _of_process(pod)
    elif manifest["metadata"]["name"].endswith("-migrate") is not (OWNER_URL in _environment(pod)):
        yield f"{OWNER_URL} is for the job migrate, and for it alone"


def _of_container(container: Mapping[str, Any], emptied: set[str]) -> Iterator[str]:
    rights = container["securityContext"]
    if not rights.get("readOnlyRootFilesystem") or rights.get("allowPrivilegeEscalation", True):
        yield "its root file system can be written, or it may gain rights"
    if rights.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "it keeps capabilities"
    if not any(mount["mountPath"] == TMP and mount["name"] in emptied for mount in container["volumeMounts"]):
        yield "it has no /tmp of its own"
    resources = container["resources"]
    if "memory" not in resources.get("limits", {}) or "cpu" not in resources.get("requests", {}):
        yield "it says not how much memory and processor it takes"
    names = [variable["name"] for variable in container["env"]]
    yield from (
        f"{name} is given twice" for name in sorted({name for name in names if names.count(name) > 1})
    )
    for variable in container["env"]:
        name = variable["name"]
        if name.startswith(_PREFIX) and name not in known_variables():
            yield f"{name} is no setting"
        if name in secret_settings() and "secretKeyRef" not in variable.get("valueFrom", {}):
            yield f"{name} is a secret in clear"


def _of_process(pod: Mapping[str, Any]) -> Iterator[str]:
    container = pod["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    for probe, path in (
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ):
        asked = container.get(probe, {}).get("httpGet", {})
        if asked.get("path") != path or asked.get("port") not in ports:
            yield f"its {probe} does not ask {path}"
    try:
        settings = _settings_of(pod)
    except ValidationError as error:
        yield from (f"{_PREFIX}{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors())
        return
    is_api = "GIFTCERT_API_HOST" in _environment(pod)
    needed = (settings.api_notice + settings.api_drain).total_seconds() if is_api else 0
    if pod["terminationGracePeriodSeconds"] < needed + SECONDS_TO_END:
        yield f"it is killed before it can end, which takes {needed + SECONDS_TO_END:g} s"
    if {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} - {
        one["topologyKey"] for one in pod["topologySpreadConstraints"]
    }:
        yield "all its pods may be on one machine, or in one zone"


def _settings_of(pod: Mapping[str, Any]) -> Settings:
    """Return the settings as the process will read them, but for secrets; raises ``ValidationError``."""
    given = {name: value or STAND_INS.get(name, "secret") for name, value in _environment(pod).items()}
    with patch.dict(os.environ, given, clear=True):
        return Settings(_env_file=None)


def _environment(pod: Mapping[str, Any]) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for container in pod["containers"] for one in container["env"]}


def _of_references(manifest: Manifest, others: list[Manifest]) -> Iterator[str]:
    """Compare what a manifest points at with what is there."""
    match manifest["kind"]:
        case "HorizontalPodAutoscaler" | "ScaledObject":
            return _of_scaling(manifest["spec"]["scaleTargetRef"]["name"], others)
        case "Deployment":
            return _of_selection(manifest, others)
        case "Service" | "PodDisruptionBudget" | "NetworkPolicy":
            return _of_selector(manifest["spec"], others)
        case _:
            return iter(())


def _of_scaling(name: str, others: list[Manifest]) -> Iterator[str]:
    target = [one for one in others if one["kind"] == "Deployment" and one["metadata"]["name"] == name]
    if not target:
        yield f"there is no {name} to scale"
    elif "replicas" in target[0]["spec"]:
        yield f"each release sets the replicas of {name} back"


def _of_selection(manifest: Manifest, others: list[Manifest]) -> Iterator[str]:
    spec = manifest["spec"]
    labels = spec["template"]["metadata"]["labels"]
    budgets = [one["spec"]["selector"] for one in others if one["kind"] == "PodDisruptionBudget"]
    if not any(_selects(budget["matchLabels"], labels) for budget in budgets):
        yield "all its pods may be evicted at once"
    if [one for one in _pods(others) if _selects(spec["selector"]["matchLabels"], one)] != [labels]:
        yield "it does not select its own pods, and no others"
    if "replicas" not in spec and not any(_scales(one, manifest["metadata"]["name"]) for one in others):
        yield "nothing says how many there are"


def _of_selector(spec: Mapping[str, Any], others: list[Manifest]) -> Iterator[str]:
    selector = spec.get("selector") or spec["podSelector"]
    if not any(_selects(selector.get("matchLabels", selector), labels) for labels in _pods(others)):
        yield "it selects no pod"


def _pods(others: list[Manifest]) -> list[Mapping[str, str]]:
    return [
        one["spec"]["template"]["metadata"]["labels"]
        for one in others
        if one["kind"] in {"Deployment", "Job"}
    ]


def _selects(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return wanted.items() <= labels.items()


def _scales(manifest: Manifest, name: str) -> bool:
    return bool(manifest.get("spec", {}).get("scaleTargetRef", {}).get("name") == name)
