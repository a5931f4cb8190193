-- finding: changed-records-down
-- direction: down
-- ok: the values saved to take the steps back are as callctl wrote them
-- absent: callctl has not begun to count what it saves
-- why: migrate down restores the values and definitions that callctl saved; it cannot restore rows that were deleted from its
--      tables, and it would restore rows that were changed by hand with their present content
-- do: restore schema callctl from a backup taken before the change; or accept the loss with callctl migrate adopt --changed-records,
--      then run migrate down again

-- needs: callctl.tally
SELECT
    'blocks' AS level,
    concat('callctl.', r.relation, CASE WHEN r.part <> '' THEN ', ' || r.part END, ': ', r.difference,
           CASE WHEN r.recorded IS NOT NULL THEN format(' (%s recorded, %s present)', r.recorded, r.present) END) AS what,
    'callctl.' || r.relation AS object
FROM callctl.changed_records() AS r
-- No step reads these: the audit trail, load tests, keys and rotations.
WHERE r.relation NOT IN ('action', 'bound_field', 'encryption_key', 'kept_webhook_secret', 'load_test', 'rotation', 'rotation_failure',
                         'rotation_range');

-- needs: callctl.installation.counted
SELECT
    'blocks' AS level,
    'callctl.tally, which counts what callctl saves, is gone: what was saved cannot be compared with anything' AS what,
    'callctl.tally' AS object
FROM callctl.installation AS i
WHERE i.counted <> '{}' AND to_regclass('callctl.tally') IS NULL;
