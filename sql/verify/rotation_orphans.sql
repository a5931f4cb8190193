-- steps: 1
-- fast: yes
-- means: callctl's record of a secret rotation is incomplete: it no longer says which run wrote this row
-- fix: no command of callctl: restore callctl.rotation from a backup; or find out what the rows were, and delete them

-- check: rotation-orphans: the rotation that a recorded row names exists
SELECT x.of AS table, x.rotation, count(*) AS rows
FROM (SELECT 'bound_field' AS of, b.rotation FROM callctl.bound_field AS b
      UNION ALL SELECT 'kept_webhook_secret', k.rotation FROM callctl.kept_webhook_secret AS k
      UNION ALL SELECT 'rotation_failure', f.rotation FROM callctl.rotation_failure AS f
      UNION ALL SELECT 'rotation_range', g.rotation FROM callctl.rotation_range AS g) AS x
LEFT JOIN callctl.rotation AS r ON r.id = x.rotation
WHERE x.rotation IS NOT NULL AND r.id IS NULL
GROUP BY x.of, x.rotation;
