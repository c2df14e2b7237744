WITH counted_money AS (
    SELECT s.product, coalesce(sum(sold) - sum(refunded), 0) AS revenue,
        coalesce(sum(nominal_issued), 0) AS issued, coalesce(sum(spent) - sum(restored), 0) AS redeemed,
        coalesce(sum(refunded), 0) AS refunded, coalesce(sum(taken), 0) AS taken,
        coalesce(sum(uncovered), 0) AS uncovered, coalesce(sum(breakage), 0) AS breakage
    FROM snapshots AS s
    LEFT JOIN money AS m ON m.product = s.product AND m.recorded_at < s.as_of
        AND m.event_type <> 'alert.redemptionUncovered' -- may be of another currency, and is in no snapshot
    GROUP BY s.product
), lives AS (
    SELECT s.product, arg_max(e.status, e.sequence) AS status, arg_max(e.balance, e.sequence) AS balance,
        arg_max(e.held, e.sequence) AS held
    FROM snapshots AS s JOIN stream AS e ON e.product = s.product AND e.recorded_at < s.as_of
    WHERE e.certificate_id IS NOT NULL GROUP BY s.product, e.certificate_id
), standing AS (
    SELECT product, sum(held) AS held, sum(balance + held) AS liability,
        count(*) FILTER (status <> 'available') AS used
    FROM lives GROUP BY product
), imported AS (
    SELECT s.product, sum(amount_of(e.payload, '$.count')) AS imported
    FROM snapshots AS s JOIN stream AS e ON e.product = s.product AND e.recorded_at < s.as_of
    WHERE e.event_type = 'audit.imported' GROUP BY s.product
), counted AS (
    UNPIVOT (
        SELECT product, CAST(COLUMNS(* EXCLUDE (product)) AS BIGINT)
        FROM (
            SELECT counted_money.*, coalesce(held, 0) AS held, coalesce(liability, 0) AS liability,
                coalesce(imported, 0) - coalesce(used, 0) AS available
            FROM counted_money LEFT JOIN standing USING (product) LEFT JOIN imported USING (product)
        )
    ) ON COLUMNS(* EXCLUDE (product)) INTO NAME figure VALUE counted
    UNION ALL
    SELECT product, 'status ' || status, count(*) FROM lives WHERE status <> 'available' GROUP BY product, status
), said AS (
    SELECT product, figure, coalesce(amount_of(payload, '$.' || figure || '.amount'),
            TRY_CAST(payload ->> figure AS BIGINT)) AS snapshot
    FROM snapshots, (SELECT DISTINCT figure FROM counted WHERE figure NOT LIKE 'status %')
    UNION ALL
    SELECT product, 'status ' || status, amount_of(payload, '$.statuses.' || status)
    FROM (SELECT product, payload, unnest(json_keys(payload, '$.statuses')) AS status FROM snapshots)
    WHERE status <> 'available'
)
SELECT product AS key, figure,
    CASE WHEN figure <> 'available' AND figure NOT LIKE 'status %' THEN currency END AS currency, as_of,
    coalesce(counted, 0) AS counted, snapshot, coalesce(counted, 0) - snapshot AS difference
FROM said LEFT JOIN counted USING (product, figure) JOIN snapshots USING (product)
WHERE coalesce(counted, 0) <> 0 OR snapshot <> 0 OR figure = 'revenue'
ORDER BY difference <> 0 DESC, key, figure LIKE 'status %', figure
