-- The models of some keys: id, key, whether it is there for customers, whether callctl inserted it, and the columns that a
-- catalogue can fill, as text. The soft-delete column may be absent, and columns may have other names: those are put in.
SELECT t.id::text, t.{key}::text, {live},
       EXISTS (SELECT FROM callctl.made AS r WHERE r.kind = 'row' AND r.relation = 'ai_models' AND r.name = t.id::text),
       {columns}
FROM {models} AS t
WHERE t.{key}::text = ANY (%(keys)s)
ORDER BY t.id
