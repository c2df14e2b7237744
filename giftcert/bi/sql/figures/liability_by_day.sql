WITH daily AS (
    SELECT day, currency, sum(change) AS change FROM liability_changes GROUP BY day, currency
), closing AS (
    SELECT day, currency, change, sum(change) OVER (PARTITION BY currency ORDER BY day) AS liability FROM daily
)
SELECT 'day' AS counted_by, CAST(day AS VARCHAR) AS key, currency, change, liability
FROM closing WHERE day BETWEEN first_day() AND last_day()
ORDER BY currency, day
