-- finding: changed-records
-- direction: up
-- ok: the values that an earlier migrate down saved are as callctl wrote them
-- absent: callctl has not begun to count what it saves
-- why: migrate up restores the rows and values that an earlier migrate down saved; it cannot restore what was deleted from callctl's tables
-- do: restore schema callctl from a backup taken before the change; or accept the loss with callctl migrate adopt --changed-records

-- needs: callctl.tally
SELECT
    'warns' AS level,
    concat('callctl.', r.relation, CASE WHEN r.part <> '' THEN ', ' || r.part END, ': ', r.difference,
           CASE WHEN r.recorded IS NOT NULL THEN format(' (%s recorded, %s present)', r.recorded, r.present) END) AS what,
    'callctl.' || r.relation AS object
FROM callctl.changed_records() AS r
WHERE r.relation NOT IN ('action', 'bound_field', 'encryption_key', 'kept_webhook_secret', 'load_test', 'rotation', 'rotation_failure',
                         'rotation_range');
