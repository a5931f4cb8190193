-- finding: active-calls
-- direction: both
-- ok: no call is pending, ringing or in progress
-- absent: there is no calls table yet, so no call can be under way
-- why: a call that is under way when its tables change may lose its end, its duration or its transcript
-- do: wait until they have ended; switch calls off in the application meanwhile

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
