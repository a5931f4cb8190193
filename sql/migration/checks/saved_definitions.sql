-- What going down from the steps %(steps)s makes again, in the order in which it does: the statements of callctl.definition that
-- make something or alter it. Not among them: comments and grants, and calls of callctl's own functions, but for the one that
-- runs such a statement.
SELECT d.step, d.relation, d.kind, d.name, d.ddl
FROM callctl.definition AS d
CROSS JOIN LATERAL array_position(
  ARRAY['type', 'column type', 'column', 'default', 'setting', 'index', 'constraint', 'validate', 'after index', 'statistics'],
  d.kind) AS place
-- A type counts wherever it is written down: either column may use it.
WHERE (d.step = ANY (%(steps)s::integer[]) OR d.kind = 'type')
  AND place IS NOT NULL
  AND d.ddl !~ '^(COMMENT|GRANT|REVOKE|SELECT callctl\.(?!run_in_tablespace)) ?'
ORDER BY place > 1, d.step DESC, place, d.ordinal
