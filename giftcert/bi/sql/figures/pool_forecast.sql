WITH imported AS (
    SELECT product, sum(amount_of(payload, '$.count')) AS imported FROM stream
    WHERE event_type = 'audit.imported' GROUP BY product
), used AS (
    SELECT product, count(*) FILTER (status <> 'available') AS used, count(*) FILTER (status = 'reserved') AS reserved
    FROM certificates GROUP BY product
), until AS (
    SELECT max(read_until) AS moment FROM loads
), pace AS (
    SELECT product, count(*) FILTER (event_type = 'issue.completed') AS issued_lately,
        sum(CASE WHEN event_type = 'issue.blocked' THEN amount_of(payload, '$.attempts') ELSE 0 END) AS refused_lately,
        greatest(1, least(14, date_diff('day', min(day), local_day(until.moment)) + 1)) AS days
    FROM events, until WHERE recorded_at > until.moment - INTERVAL 14 DAY GROUP BY product, until.moment
)
SELECT 'product' AS counted_by, product AS key, imported, imported - coalesce(used, 0) AS available,
    coalesce(reserved, 0) AS reserved, coalesce(issued_lately, 0) / coalesce(days, 1) AS issued_per_day,
    CASE WHEN issued_per_day > 0 THEN available / issued_per_day END AS days_left,
    coalesce(refused_lately, 0) AS refused_lately
FROM imported LEFT JOIN used USING (product) LEFT JOIN pace USING (product)
ORDER BY days_left NULLS LAST, key
