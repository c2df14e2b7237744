"""The sandbox in which tests run workflows: whatever is not deterministic fails there."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("giftcert", "activities", "msgspec", "structlog")
"""Only named from workflows, or pure; importing them anew for every run would cost tens of milliseconds a wake."""


def sandbox() -> SandboxedWorkflowRunner:
    """Return a runner of workflows."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
