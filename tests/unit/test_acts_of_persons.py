"""The list of what persons can do: each act is told by audit.operatorActed, and a new one has to be put here."""

from api import certificates, pool, products, redemptions, refunds, reservations, verification
from api.authentication import AuthenticatedRoute
from giftcert.security.tokens import Role
from tests.cli_commands import cli_commands

HTTP_ACTS = {
    "/certificates/{certificateId}/block",
    "/certificates/{certificateId}/unblock",
    "/certificates/{certificateId}/unlock",
    "/certificates/{certificateId}/notifications",
    "/pool/retire",
    "/refunds/{refundCaseId}/resolution",
}
"""``tests/integration/api/test_operator_acts.py`` does each."""
COMMAND_ACTS = {
    "pool generate",
    "pool import",
    "pool retire",
    "refunds resolve",
    "quarantine show",  # of an original
    "quarantine replay",
    "quarantine dismiss",
    "verify",  # with --repair
    "recover",
    "keys rotate",
    "keys destroy",
    "erasure run",
}
NO_ACTS = {
    *("up", "demo", "api", "codec serve", "worker", "ingest", "dispatch", "migrate", "setup"),
    *("deploy status", "deploy promote", "deploy rollback", "deploy drain"),  # Temporal records who does it
    *("token", "addresses", "keys init", "codec keys", "config"),  # no database is there, or need be
    *(
        "status",
        "archive write",
        "archive check",
        "erasure report",
        "bi load",
        "bi report",
        "pool status",
        "keys status",
        "refunds list",
        "quarantine list",
        "trace",
    ),  # these only read
}


def test_every_call_by_which_a_person_changes_anything_is_an_act() -> None:
    resources = (certificates, pool, products, redemptions, refunds, reservations, verification)
    routes = [
        route for one in resources for route in one.router.routes if isinstance(route, AuthenticatedRoute)
    ]
    changing = [route for route in routes if not route.methods <= {"GET", "HEAD"}]
    assert len(changing) > len(HTTP_ACTS)
    assert {route.path for route in changing if Role.CHANNEL not in route.bearer.roles} == HTTP_ACTS


def test_every_command_by_which_a_person_changes_anything_asks_who_it_is() -> None:
    asking = {
        name: any("--by" in parameter.opts for parameter in command.params)
        for name, command in cli_commands().items()
    }
    assert {name for name, asks in asking.items() if asks} == COMMAND_ACTS
    assert {name for name, asks in asking.items() if not asks} == NO_ACTS
