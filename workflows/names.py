"""What doors and workflows call each other: workflow ids, task queues, signals. Imports no I/O library."""

import re

from giftcert.domain.messages import Message

CERTIFICATE_WORKFLOW = "CertificateWorkflow"
CHANGED_ELSEWHERE = "changed_elsewhere"
"""The signal that tells a running workflow to look at its certificate again."""
MAINTENANCE_QUEUE = "maintenance"
_ID_PREFIX = "certificate-"

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


def workflow_id(certificate_id: str) -> str:
    """Return the id of the workflow that leads a certificate; there is one open run at most."""
    return f"{_ID_PREFIX}{certificate_id}"


def certificate_of(of_workflow: str) -> str:
    """Return the certificate that the workflow with this id leads."""
    return of_workflow.removeprefix(_ID_PREFIX)


def task_queue(channel: str) -> str:
    """Return the task queue on which certificates sold by a channel run, so that channels scale apart."""
    return f"certificates-{channel}"


def signal_of(message: Message) -> str:
    """Return the signal that carries a message: its class name in snake case."""
    return _WORD_START.sub("_", type(message).__name__).lower()


def request_name(request: object) -> str:
    """Return the update that carries a request: its class name in snake case, told from the signals."""
    return f"ask_{_WORD_START.sub('_', type(request).__name__).lower()}"
