-- finding: active-calls
-- direction: both
-- ok: no call is pending, ringing or in progress
-- absent: there is no calls table yet, so there can be no call in progress
-- why: a call in progress may lose its end, its duration or its transcript when its tables change
-- do: switch calls off in the application, and wait until these calls have ended

-- needs: chatapp.calls
SELECT
    'warns' AS level,
    format('calls that are %s: %s (the oldest since %s)', q.status, q.amount, q.since) AS what,
    q.ids AS object
FROM (
    SELECT
        x.status, count(*) AS amount, min(x.created_at) AS since, (array_agg(x.id::text ORDER BY x.id))[1:20] AS ids
    FROM chatapp.calls AS x
    WHERE x.status IN ('pending', 'ringing', 'in_progress') AND x.deleted_at IS NULL
    GROUP BY x.status
) AS q;
