-- finding: restored-roles
-- steps: 5-6
-- direction: down
-- ok: every role to which migrate down gives something back exists
-- why: migrate down grants again what roles had on the type column and its enum type, and stops if a role is gone
-- do: create the named role again; you can drop it after migrate down

-- needs: callctl.definition
SELECT DISTINCT
    'blocks' AS level,
    format('role %s had rights on %s that went with step %s, and does not exist any more', f.detail ->> 'role',
           CASE f.kind WHEN 'type' THEN format('enum type %s', f.detail ->> 'type') ELSE format('column %s.%I', f.relation, f.name) END, f.step)
        AS what,
    f.detail ->> 'role' AS object,
    ARRAY[f.step] AS steps,
    format('CREATE ROLE %I;', f.detail ->> 'role') AS fix
FROM callctl.definition AS f
WHERE f.kind IN ('grant', 'type') AND f.step IN (5, 6) AND f.detail ->> 'role' IS NOT NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = f.detail ->> 'role');
