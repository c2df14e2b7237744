"""The dashboards: what the business sees, how each process does, and what Temporal says.

Each process is scraped by a job of its own: ``giftcert-api``, ``-ingest``, ``-worker``, ``-dispatch``. Figures that
every process of a kind reads from PostgreSQL are the same in each: of those the greatest counts.
"""

from specs.monitoring.panels import Dashboard, Panel, Query

_RATE = "[$__rate_interval]"


def _quantiles(histogram: str, by: str = "", of: str = "") -> tuple[Query, ...]:
    """Return the median and the 99th percentile of a histogram."""
    grouped, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    return tuple(
        Query(
            f"histogram_quantile({quantile}, sum by ({grouped}) (rate({histogram}_bucket{of}{_RATE})))",
            f"{legend}{name}",
        )
        for quantile, name in ((0.5, "median"), (0.99, "99 of 100"))
    )


BUSINESS = Dashboard(
    "business",
    "Gift certificates: business",
    (
        Panel(
            "Reservations that failed",
            "share",
            (
                Query("giftcert:reservations_failed:ratio_rate5m", "last 5 min"),
                Query("giftcert:reservations_failed:ratio_rate1h", "last hour"),
            ),
            "Requests for certificates that were answered with 5xx. One in a thousand may.",
            limit=0.001,
        ),
        Panel(
            "Certificates issued late",
            "share",
            (
                Query("giftcert:issued_late:ratio_rate5m", "last 5 min"),
                Query("giftcert:issued_late:ratio_rate1h", "last hour"),
            ),
            "Issued more than 5 s after the capture, by the payment's clock. One in a hundred may.",
            limit=0.01,
        ),
        Panel(
            "Certificates asked for",
            "per second",
            (
                Query(
                    f"sum by (product, result) (rate(giftcert_claims_total{_RATE}))", "{{product}} {{result}}"
                ),
            ),
            "By product and what came of it: given, exhausted (the pool is empty), capped (the caller has too many).",
        ),
        Panel(
            "From capture to issue",
            "seconds",
            _quantiles("giftcert_issue_seconds"),
            "From the capture, by the payment's clock, to issue.completed on the stream.",
            limit=5,
        ),
        Panel(
            "Available in the pool",
            "certificates",
            (
                Query('max by (product) (giftcert_certificates{status="available"})', "{{product}}"),
                Query("max by (product) (giftcert_pool_low_threshold)", "{{product}} is low"),
            ),
            "What can be sold, and the number below which alert.poolLow is sent.",
        ),
        Panel(
            "Until the pool is empty",
            "seconds",
            (Query("min by (product) (giftcert_pool_time_to_empty_seconds) < Inf", "{{product}}"),),
            "If it goes on as in the last 24 hours. A product that was not sold has no line.",
        ),
        Panel(
            "Certificates by status",
            "certificates",
            (
                Query(
                    'sum by (status) (max by (product, status) (giftcert_certificates{status!="available"}))',
                    "{{status}}",
                ),
            ),
            "All that were ever sold or taken, by where they stand now.",
        ),
        Panel(
            "Open refunds",
            "cases",
            (Query("max by (state) (giftcert_refunds_open)", "{{state}}"),),
            "pendingDetails waits for a person, requested for the money, awaitingCapture for the payment.",
        ),
        Panel(
            "Oldest open refund",
            "seconds",
            (Query("max by (state) (giftcert_refunds_oldest_seconds)", "{{state}}"),),
            "How long the case that is open longest has waited.",
            limit=172_800,
        ),
        Panel(
            "Quarantine",
            "records",
            (Query("max by (reason) (giftcert_quarantine_open)", "{{reason}}"),),
            "Input records that could not be applied, by reason: `giftcert quarantine list`.",
        ),
    ),
)

PROCESSES = Dashboard(
    "processes",
    "Gift certificates: processes",
    (
        Panel(
            "API: requests",
            "requests/s",
            (Query(f"sum by (route) (rate(giftcert_http_request_seconds_count{_RATE}))", "{{route}}"),),
            "Traffic by call.",
        ),
        Panel(
            "API: errors",
            "requests/s",
            (
                Query(
                    f'sum by (status) (rate(giftcert_http_request_seconds_count{{status=~"5..|429"}}{_RATE}))',
                    "{{status}}",
                ),
                Query(
                    f"sum by (problem) (rate(giftcert_http_connections_refused_total{_RATE}))",
                    "refused: {{problem}}",
                ),
            ),
            "Answers 5xx and 429, and connections that were closed with a problem.",
        ),
        Panel(
            "API: time of a request",
            "seconds",
            _quantiles("giftcert_http_request_seconds", of='{route!="/metrics"}'),
            "Over all calls.",
            limit=1,
        ),
        Panel(
            "Ingest: records",
            "records/s",
            (
                Query(
                    f"sum by (topic, outcome) (rate(giftcert_ingest_records_total{_RATE}))",
                    "{{topic}} {{outcome}}",
                ),
            ),
            "By topic and what came of them.",
        ),
        Panel(
            "Ingest: lag",
            "records",
            (Query("sum by (topic) (giftcert_ingest_lag_records)", "{{topic}}"),),
            "Records that are still to be committed.",
        ),
        Panel(
            "Ingest: lag in time",
            "seconds",
            (Query("max by (topic) (giftcert_ingest_lag_seconds)", "{{topic}}"),),
            "Since all that stood in a topic was committed here.",
            limit=60,
        ),
        Panel(
            "Worker: decisions of certificates",
            "per second",
            (
                Query(f"sum(rate(giftcert_advance_seconds_count{_RATE}))", "decisions"),
                Query(f"sum(rate(giftcert_advance_failures_total{_RATE}))", "failed"),
            ),
            "Transactions in which a certificate decides what is pending or due.",
        ),
        Panel(
            "Worker: time of a decision",
            "seconds",
            _quantiles("giftcert_advance_seconds"),
            "Of that transaction.",
        ),
        Panel(
            "Dispatch: events published",
            "per second",
            (Query(f"sum(rate(giftcert_dispatch_published_total{_RATE}))", "events"),),
            "Acknowledged by the stream.",
        ),
        Panel(
            "Dispatch: from commit to stream",
            "seconds",
            (
                *_quantiles("giftcert_dispatch_lag_seconds"),
                Query("max(giftcert_dispatch_oldest_unpublished_seconds)", "oldest that waits"),
            ),
            "From the commit of an event to its acknowledgement, and the age of the one that waits longest.",
            limit=60,
        ),
        Panel(
            "PostgreSQL: transactions",
            "per second",
            (Query(f"sum by (job) (rate(giftcert_transaction_seconds_count{_RATE}))", "{{job}}"),),
            "By process.",
        ),
        Panel(
            "PostgreSQL: time of a transaction",
            "seconds",
            _quantiles("giftcert_transaction_seconds", by="job"),
            "From BEGIN to its end, by process.",
        ),
        Panel(
            "PostgreSQL: failures",
            "per second",
            (Query(f"sum by (kind) (rate(giftcert_database_failures_total{_RATE}))", "{{kind}}"),),
            "serialization, deadlock, lock and unique are races that are tried again; away is an outage.",
        ),
        Panel(
            "PostgreSQL: connections in use",
            "connections",
            (Query("sum by (job) (giftcert_database_connections)", "{{job}}"),),
            "Of each process GIFTCERT_DATABASE_POOL_SIZE at most.",
        ),
        Panel(
            "Oldest work that waits",
            "seconds",
            (Query("max by (work) (giftcert_oldest_work_seconds)", "{{work}}"),),
            "Work for certificates, events for the stream, deadlines, refunds: beyond its bound it is overdue.",
        ),
        Panel(
            "What processes wait for",
            "parts",
            (Query("max by (job, part) (giftcert_stands_still) > 0", "{{job}}: {{part}}"),),
            "1 while a process cannot do its work; /readyz has the reason.",
        ),
        Panel(
            "Delay of event loops",
            "seconds",
            (Query("max by (job) (giftcert_event_loop_delay_seconds)", "{{job}}"),),
            "How late a process looks at what has come: above 1 s it has too much to do.",
            limit=1,
        ),
        Panel(
            "Processors",
            "cores",
            (Query(f"sum by (job) (rate(process_cpu_seconds_total{_RATE}))", "{{job}}"),),
            "A Python process uses one core at most, Temporal's core some more.",
        ),
        Panel(
            "Memory",
            "bytes",
            (Query("max by (job) (process_resident_memory_bytes)", "{{job}}"),),
            "Resident, of the largest process of each kind.",
        ),
    ),
)

TEMPORAL = Dashboard(
    "temporal",
    "Gift certificates: Temporal",
    (
        Panel(
            "Workflows that end",
            "per second",
            (
                Query(f"sum(rate(temporal_workflow_completed_total{_RATE}))", "completed"),
                Query(f"sum(rate(temporal_workflow_failed_total{_RATE}))", "failed"),
                Query(f"sum(rate(temporal_workflow_continue_as_new_total{_RATE}))", "continued as new"),
            ),
            "Runs that end: a certificate's run ends when nothing is open.",
        ),
        Panel(
            "Wait of a workflow task for a worker",
            "seconds",
            _quantiles("temporal_workflow_task_schedule_to_start_latency_seconds", by="task_queue"),
            "Rises when a queue has too few workers: each channel has its own.",
        ),
        Panel(
            "Time of a workflow task",
            "seconds",
            _quantiles("temporal_workflow_task_execution_latency_seconds"),
            "Without the local activities.",
        ),
        Panel(
            "Workflow tasks that failed",
            "per second",
            (
                Query(
                    f"sum by (task_queue, failure_reason) (rate(temporal_workflow_task_execution_failed_total{_RATE}))",
                    "{{task_queue}} {{failure_reason}}",
                ),
            ),
            "A code that does not fit the history, or a bug. The certificates concerned stand still.",
        ),
        Panel(
            "Backlog of task queues",
            "tasks",
            (Query("max by (task_queue) (giftcert_task_queue_backlog)", "{{task_queue}}"),),
            "Tasks that wait for a worker.",
        ),
        Panel(
            "Pollers of task queues",
            "pollers",
            (Query("max by (task_queue) (giftcert_task_queue_pollers)", "{{task_queue}}"),),
            "0: the channel has no worker, and nothing of it is issued.",
        ),
        Panel(
            "Workflows that are stuck",
            "workflows",
            (Query("max(giftcert_stuck_workflows)", "stuck"),),
            "Their tasks fail again and again; alert.workflowStuck names each.",
        ),
        Panel(
            "Free slots of workers",
            "slots",
            (
                Query(
                    "sum by (task_queue, worker_type) (temporal_worker_task_slots_available)",
                    "{{task_queue}} {{worker_type}}",
                ),
            ),
            "None left: tasks wait.",
        ),
        Panel(
            "Calls to Temporal",
            "per second",
            (
                Query(f"sum by (operation) (rate(temporal_request_total{_RATE}))", "{{operation}}"),
                Query(
                    f"sum by (operation) (rate(temporal_request_failure_total{_RATE}))",
                    "{{operation}} failed",
                ),
            ),
            "By operation, of all processes.",
        ),
    ),
)

DASHBOARDS = (BUSINESS, PROCESSES, TEMPORAL)
