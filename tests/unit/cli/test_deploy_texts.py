"""``giftcert deploy status`` in words: who leads, who works, and what is stuck with its links."""

from datetime import UTC, datetime

from giftcert.cli.deploy import _text
from giftcert.settings import Settings
from giftcert.temporal.deployment import Build, former
from giftcert.temporal.runs import StuckRun

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
QUEUES = {"certificates-im": 2, "certificates-pos": 2, "maintenance": 2}


def build(name: str, state: str = "drained", led_at: datetime | None = NOON, **others: object) -> Build:
    values = {"percentage": None, "pollers": {}, "led": 0, "pinned": 0, "since": None}
    return Build(build_id=name, state=state, last_current=led_at, **(values | others))  # type: ignore[arg-type] # by name


def test_each_build_is_a_line_with_its_workers_and_runs() -> None:
    two = build("0.1.0-two", "current", led=1_200, pollers=QUEUES)
    three = build("0.1.0-three", "ramping", None, percentage=10.0, led=90)
    shown = _text(Settings(_env_file=None), [two, three], two, [], [])
    assert [line.rstrip() for line in shown.splitlines()] == [
        "build        state         last led          runs   pinned  workers",
        (
            "0.1.0-two    current       2026-11-23 12:00  1,200  0       "
            "certificates-im 2, certificates-pos 2, maintenance 2"
        ),
        "0.1.0-three  ramping 10 %  never             90     0       none",
        "",
        "current  0.1.0-two",
        "stuck    no workflow",
    ]


def test_what_is_wrong_is_named_with_where_to_look() -> None:
    one = build("0.1.0-one", "current")
    stuck = [StuckRun(f"certificate-{n}", "run", ()) for n in range(50)]
    lines = _text(Settings(_env_file=None), [one], one, ["maintenance"], stuck).splitlines()
    assert lines[-2] == "lacking  no worker of it polls maintenance"
    assert lines[-1].startswith(
        "stuck    50 workflows: http://127.0.0.1:8233/namespaces/default/workflows/certificate-0 "
    )
    assert lines[-1].count("http") == 3


def test_where_no_worker_has_ever_been_it_is_said() -> None:
    shown = _text(Settings(_env_file=None), [], None, ["maintenance"], [])
    assert shown.splitlines() == [
        "current  none: no worker has ever polled every task queue",
        "stuck    no workflow",
    ]


def test_the_former_build_is_the_one_that_led_last() -> None:
    found = [
        build("three", "current"),
        build("one", led_at=datetime(2026, 11, 1, tzinfo=UTC)),
        build("two", led_at=datetime(2026, 11, 2, tzinfo=UTC)),
        build("four", "inactive", None),
    ]
    back = former(found)
    assert back is not None
    assert back.build_id == "two"
    assert former(found[:1]) is None
