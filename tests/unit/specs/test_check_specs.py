import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specs.check.__main__ import (
    CHECKS,
    HERE,
    RELEASED,
    ROOT,
    SPECS,
    Check,
    breaking_changes,
    main,
    outcome_of,
)
from specs.check.tools import CheckError, Tool, fetch, run
from specs.check.topics import as_openapi


def fails() -> str:
    raise CheckError("openapi.json: a path is missing")


def test_a_check_says_in_one_line_what_it_needs_where_that_is_missing() -> None:
    absent = Tool("Maven", (3, 8), ("no-such-program", "--version"))

    is_well, said = outcome_of(Check("java", (absent,), fails))

    assert is_well
    assert said == "java        not checked: needs Maven 3.8 or newer (no-such-program)"


def test_a_check_says_in_one_line_which_packages_could_not_be_fetched() -> None:
    def download() -> str:
        fetch("Go modules", ["sh", "-c", "echo go: reading; echo no such host; exit 1"], ROOT)
        return "well"

    is_well, said = outcome_of(Check("go", (), download))

    assert is_well
    assert said == "go          not checked: needs Go modules, which could not be fetched: no such host"


def test_a_tool_that_is_too_old_counts_as_missing() -> None:
    old = Tool("Python", (99, 1), ("python3", "--version"))

    assert str(old.missing).startswith("Python 99.1 or newer (found 3.")


def test_colours_of_a_tool_are_no_part_of_its_version() -> None:
    tool = Tool("Maven", (3, 8), ("printf", r"\033[1mApache Maven 3.8.7\033[m"))

    assert tool.missing is None


def test_a_check_that_fails_shows_what_its_tool_printed() -> None:
    assert outcome_of(Check("openapi", (), fails)) == (
        False,
        "openapi     failed\nopenapi.json: a path is missing",
    )


def test_a_command_that_fails_says_what_it_printed() -> None:
    with pytest.raises(CheckError, match="no such option"):
        run(["sh", "-c", "echo no such option; exit 3"], ROOT)


def test_an_unknown_check_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["opnapi"])

    assert "there is no check opnapi; there are contract, breaking," in capsys.readouterr().err


def test_checks_without_node_and_maven_are_those_that_ci_names() -> None:
    alone = [
        check.name for check in CHECKS if {"Node.js", "Maven"}.isdisjoint(tool.name for tool in check.needs)
    ]
    named = (ROOT / ".ci" / "run").read_text(encoding="utf-8")

    assert alone == ["contract", "breaking", "go"]
    assert 'make check-specs ARGS="breaking go"' in named  # the first is among the tests


@pytest.mark.parametrize("generated", ["node/generated", "node/node_modules", "go/client", "java/target"])
def test_what_is_generated_stays_out_of_the_repository(generated: str) -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", HERE / generated / "any"], cwd=ROOT, check=False)

    assert done.returncode == 0


def test_the_lock_file_pins_every_package_and_names_no_address() -> None:
    lock = json.loads((HERE / "node" / "package-lock.json").read_text(encoding="utf-8"))

    assert all(package["integrity"] for name, package in lock["packages"].items() if name)
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_topics_become_requests_and_answers_of_one_document() -> None:
    document = as_openapi(SPECS)

    assert set(document["paths"]["/All_SalesOrder/order.created"]) == {"post"}
    published = document["paths"]["/GiftCertificates.Stream/issue.completed"]["get"]["responses"]["200"]
    assert (
        published["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/issue.completed"
    )
    assert published["headers"]["ce_id"]["required"]
    for reference in references(document):
        assert reference.rpartition("/")[2] in document["components"]["schemas"]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [found for value in node.values() for found in references(value)]
    return [found for value in node for found in references(value)] if isinstance(node, list) else []


# oasdiff itself: built by `make check-specs`, as tests fetch nothing.

OFFLINE = {**os.environ, "GOPROXY": "off"}


@pytest.fixture(scope="module")
def oasdiff() -> None:
    command = ["go", "tool", "oasdiff", "--version"]
    is_built = (
        shutil.which("go")
        and not subprocess.run(
            command, cwd=HERE / "oasdiff", env=OFFLINE, capture_output=True, check=False
        ).returncode
    )
    if not is_built:
        pytest.skip("needs oasdiff: run make check-specs ARGS=breaking")


def drop_from_answer(document: dict[str, Any]) -> None:
    reservation = document["components"]["schemas"]["Reservation"]
    del reservation["properties"]["reservedUntil"]
    reservation["required"].remove("reservedUntil")


def require_in_request(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["ReservationOrder"]["required"].append("nominal")


def drop_call(document: dict[str, Any]) -> None:
    del document["paths"]["/certificates/verify"]


def drop_from_event(document: dict[str, Any]) -> None:
    payload = document["components"]["schemas"]["issue.completed"]["properties"]["payload"]
    del payload["properties"]["amount"]
    payload["required"].remove("amount")


def require_in_message(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["order.created"]["required"].append("customerId")


def rename_topic(document: dict[str, Any]) -> None:
    document["paths"]["/Certificates/issue.completed"] = document["paths"].pop(
        "/GiftCertificates.Stream/issue.completed"
    )


@pytest.mark.usefixtures("oasdiff")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (drop_from_answer, "GET /certificates/next: removed the required property `reservedUntil`"),
        (require_in_request, "POST /reservations: the request property `nominal` became required"),
        (drop_call, "POST /certificates/verify: API path removed"),
        (
            drop_from_event,
            "GET /GiftCertificates.Stream/issue.completed: removed the required property `payload/amount`",
        ),
        (
            require_in_message,
            "POST /All_SalesOrder/order.created: the request property `customerId` became required",
        ),
        (rename_topic, "GET /GiftCertificates.Stream/issue.completed: API path removed"),
    ],
)
def test_a_change_that_breaks_partners_is_named(
    change: Callable[[dict[str, Any]], None], named: str, tmp_path: Path
) -> None:
    is_http = change in {drop_from_answer, require_in_request, drop_call}
    document = (
        json.loads((SPECS / "openapi.json").read_text(encoding="utf-8")) if is_http else as_openapi(SPECS)
    )
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(document), encoding="utf-8")
    change(document)
    after.write_text(json.dumps(document), encoding="utf-8")

    assert any(line.startswith(named) for line in breaking_changes(before, after)), breaking_changes(
        before, after
    )


def test_the_released_specifications_are_kept_whole() -> None:
    kept = {path.relative_to(RELEASED) for path in RELEASED.rglob("*.*")}

    assert {Path("openapi.json"), Path("asyncapi.yaml"), Path("schemas/envelope.json")} <= kept
    assert as_openapi(RELEASED)["paths"]
