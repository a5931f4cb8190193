-- finding: superseded-values
-- direction: both
-- ok: no saved value has been overtaken by a newer write
-- absent: callctl has saved no values yet
-- why: where the application has written since, its value stays, and the one that callctl saved is kept
--      only to be looked at
-- do: look at callctl.saved_value; callctl purge deletes what is no longer wanted

-- needs: callctl.saved_value
SELECT
    'warns' AS level,
    format('saved values of %s.%s that were overtaken by a newer write: %s', s.relation, s.field, count(*)) AS what,
    s.relation AS object
FROM callctl.saved_value AS s
WHERE s.superseded_at IS NOT NULL
GROUP BY s.relation, s.field;
