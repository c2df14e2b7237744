"""What Temporal's core says of itself: its log lines join ours, and its figures those of the process."""

import logging

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

_CORE = "temporalio.core"


def log_like_us() -> None:
    """Have the core of this process's clients and workers log through ours; call it before the first connects."""
    forwarding = LogForwardingConfig(
        logging.getLogger(_CORE),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    quiet = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=quiet)))
