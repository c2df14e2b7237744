SELECT 'reason' AS counted_by, reason AS key, count(*) AS cases, count(closed_at) AS closed,
    count(*) - count(closed_at) AS open, quantile_cont(epoch(closed_at - pending_at), 0.5) AS median_person_seconds
FROM refund_cases
WHERE reason IS NOT NULL AND day BETWEEN first_day() AND last_day()
GROUP BY reason
ORDER BY cases DESC, key
