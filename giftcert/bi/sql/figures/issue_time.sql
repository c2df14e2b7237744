SELECT counted_by(grouping(day), grouping(sale_channel), grouping(product)) AS counted_by,
    coalesce(CAST(day AS VARCHAR), sale_channel, product) AS key, count(*) AS issued,
    quantile_cont(epoch(issued_at - ordered_at), 0.5) AS order_median_seconds,
    quantile_cont(epoch(issued_at - ordered_at), 0.95) AS order_p95_seconds,
    quantile_cont(epoch(issued_at - paid_at), 0.5) AS paid_median_seconds,
    quantile_cont(epoch(issued_at - paid_at), 0.95) AS paid_p95_seconds
FROM issue_times
WHERE day BETWEEN first_day() AND last_day()
GROUP BY GROUPING SETS ((), (day), (sale_channel), (product))
HAVING count(*) > 0
ORDER BY place_of(counted_by), key
