SELECT 'day' AS counted_by, CAST(day AS VARCHAR) AS key, currency, min(occurred_day) AS earliest,
    count(*) AS movements, sum(sold) - sum(refunded) AS revenue, sum(spent) - sum(restored) AS redeemed
FROM money
WHERE occurred_day <> day AND day BETWEEN first_day() AND last_day()
GROUP BY day, currency
ORDER BY currency, day
