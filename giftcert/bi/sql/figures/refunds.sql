SELECT counted_by(grouping(day), grouping(sale_channel), grouping(product)) AS counted_by,
    coalesce(CAST(day AS VARCHAR), sale_channel, product) AS key,
    count(*) AS cases, count(closed_at) AS closed, count(*) - count(closed_at) AS open,
    count(pending_at) AS by_person, count(*) FILTER (is_rejected) AS rejected,
    quantile_cont(epoch(closed_at - opened_at), 0.5) AS median_seconds,
    quantile_cont(epoch(closed_at - opened_at), 0.95) AS p95_seconds,
    quantile_cont(epoch(closed_at - pending_at), 0.5) AS median_person_seconds
FROM refund_cases
WHERE day BETWEEN first_day() AND last_day()
GROUP BY GROUPING SETS ((), (day), (sale_channel), (product))
HAVING count(*) > 0
ORDER BY place_of(counted_by), key
