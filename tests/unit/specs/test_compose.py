"""docker-compose.yml against the Compose specification, and against what the service expects."""

import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml

from giftcert.settings import Settings
from tests.unit.specs.mermaid import ROOT

SOURCE = (ROOT / "docker-compose.yml").read_text("utf-8")
DOORS = ("api", "ingest", "worker", "dispatch")


@pytest.fixture
def compose() -> dict[str, Any]:
    document = yaml.safe_load(SOURCE)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def specification() -> dict[str, Any]:
    vendored = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor", "compose-spec.json")
    document = json.loads(vendored.read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_compose_file_follows_the_compose_specification(
    compose: dict[str, Any], specification: dict[str, Any]
) -> None:
    jsonschema.validators.validator_for(specification)(specification).validate(compose)


def test_the_specification_refuses_what_compose_does_not_know(
    compose: dict[str, Any], specification: dict[str, Any]
) -> None:
    compose["services"]["api"]["comand"] = ["api"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(specification)(specification).validate(compose)


def test_every_door_runs_from_the_one_dockerfile(compose: dict[str, Any]) -> None:
    for door in DOORS:
        service = compose["services"][door]
        assert service["command"] == [door]
        assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_only_the_migration_is_given_the_owner_of_the_tables(compose: dict[str, Any]) -> None:
    services = compose["services"]
    given = {
        name
        for name, service in services.items()
        if "GIFTCERT_DATABASE_OWNER_URL" in service.get("environment", {})
    }
    assert given == {"migrate"}
    for door in DOORS:
        assert services[door]["environment"]["GIFTCERT_DATABASE_URL"].startswith(
            "postgresql://giftcert_service:"
        )


def test_every_long_running_service_tells_its_health_and_waits_for_those_it_needs(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            once = how["condition"] == "service_completed_successfully"
            assert once is (services[needed]["restart"] == "on-failure"), f"{name} waits for {needed}"
            assert once or "healthcheck" in services[needed], f"{name} waits for {needed}"
    assert all("healthcheck" in services[door] for door in DOORS)


def test_every_image_is_pinned_to_one_version(compose: dict[str, Any]) -> None:
    images = {service["image"] for service in compose["services"].values()} - {"giftcert:local"}
    assert all(re.fullmatch(r"[\w./-]+:\d+(\.\d+)+", image) for image in images), images


def test_every_setting_that_compose_gives_is_one_of_the_service(compose: dict[str, Any]) -> None:
    known = {f"GIFTCERT_{name.upper()}" for name in Settings.model_fields}
    given = {name for door in DOORS for name in compose["services"][door]["environment"]}
    assert given <= known, given - known


def test_the_compose_file_holds_no_password_of_its_own() -> None:
    secrets = re.findall(r"(?:PASSWORD|PWD): (.+)", SOURCE) + re.findall(r"://\w+:([^@\n]+)@", SOURCE)
    assert secrets
    assert all(re.fullmatch(r'"?\$\{\w+:\?[^}]+\}"?', secret) for secret in secrets), secrets


def published(compose: dict[str, Any]) -> list[str]:
    return [port for service in compose["services"].values() for port in service.get("ports", [])]


def beyond_loopback(compose: dict[str, Any]) -> list[str]:
    """Return what other machines could reach; all that is published may be written by whoever reaches it."""
    open_services = [name for name, one in compose["services"].items() if "network_mode" in one]
    return open_services + [port for port in published(compose) if not port.startswith("127.0.0.1:")]


def test_nothing_is_published_beyond_loopback(compose: dict[str, Any]) -> None:
    assert published(compose)
    assert beyond_loopback(compose) == []


@pytest.mark.parametrize("port", ["7233:7233", "0.0.0.0:9092:9092", "[::]:5432:5432", "8233"])
def test_a_port_that_is_published_beyond_loopback_is_found(compose: dict[str, Any], port: str) -> None:
    compose["services"]["temporal"]["ports"].append(port)
    assert beyond_loopback(compose) == [port]


def test_the_web_ui_only_shows(compose: dict[str, Any]) -> None:
    assert compose["services"]["temporal-ui"]["environment"]["TEMPORAL_DISABLE_WRITE_ACTIONS"] == "true"


def test_files_that_compose_mounts_exist(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    kept = [mount for mount in mounts if mount.startswith("./") and not mount.startswith("./deploy/keys:")]
    sources = [mount.split(":")[0] for mount in kept]
    assert sources
    assert all((ROOT / source).is_file() for source in sources)
