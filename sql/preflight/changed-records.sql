-- finding: changed-records
-- direction: up
-- ok: what an earlier way down saved for this one is what callctl wrote
-- absent: callctl has not begun to count what it saves
-- why: going up puts back the rows and values that an earlier way down saved; what is gone from callctl's tables does not come back
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
