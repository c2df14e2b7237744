import pytest

from giftcert.settings import Settings
from tests.unit.specs.mermaid import ROOT
from tests.unit.specs.structure import Flowchart, read_flowchart

DIAGRAM = (ROOT / "specs" / "diagrams" / "architecture.mmd").read_text("utf-8")


@pytest.fixture
def architecture() -> Flowchart:
    return read_flowchart(DIAGRAM)


def test_the_architecture_shows_every_neighbouring_system(architecture: Flowchart) -> None:
    neighbours = {"Internet store", "POS", "Orders", "Payments", "CRM", "BI", "Support"}
    assert neighbours <= set(architecture.nodes.values())


def test_the_architecture_shows_every_topic_under_its_name(architecture: Flowchart) -> None:
    topics = {field.default for name, field in Settings.model_fields.items() if name.startswith("topic_")}
    assert {topic for topic in topics if isinstance(topic, str)} <= set(architecture.nodes.values())


def test_the_architecture_shows_every_process_of_ours(architecture: Flowchart) -> None:
    processes = {"api", "kafka_ingest", "worker", "dispatch", "PostgreSQL", "Temporal"}
    assert processes <= set(architecture.nodes.values())


def test_only_dispatch_writes_to_the_stream(architecture: Flowchart) -> None:
    assert {tail for tail, head in architecture.arrows if head == "stream"} == {"dispatch"}


@pytest.mark.parametrize("readme", ["README.md", "README.ru.md"])
def test_the_readme_shows_the_architecture(readme: str) -> None:
    assert f"```mermaid\n{DIAGRAM}```\n" in (ROOT / readme).read_text("utf-8")
