-- finding: superseded-values
-- direction: both
-- ok: no newer write has replaced a saved value
-- absent: callctl has saved no values yet
-- why: if the application has written since, its value stays, and callctl keeps the saved one for
--      information only
-- do: read callctl.saved_value; callctl purge deletes the values that you do not need

-- needs: callctl.saved_value
SELECT
    'warns' AS level,
    format('saved values of %s.%s that were replaced by a newer write: %s', s.relation, s.field, count(*)) AS what,
    s.relation AS object
FROM callctl.saved_value AS s
WHERE s.superseded_at IS NOT NULL
GROUP BY s.relation, s.field;
