-- A batch in a statement of its own, which is a transaction: no lock on its rows lasts while callctl does something else. It has the
-- work lock, shared, or does nothing; writes by compare and swap, as write.sql does, and fails where a row is not stored as meant;
-- and says how far the range has come: past the batch if no row has lost, otherwise what was written of it, each change of it in
-- a place of its own. It also fails where a trigger fires after it, which could still change what it has looked at: it must not
-- end then, since a trigger for each statement fires even where no row is written.
-- Whether it had the lock, how long it took (ms), how many rows it wrote, and where rows have lost, the versions of those it wrote.
-- $1, $2: the work lock's class and schema; $3: range; $4: last key; $5: rows done; $6: counts; $7: rows to be written;
-- $8: the changes of a row, by its kind; $9: keys as text; $10: versions; $11: kinds; from $12 on: new values, NULL to leave one
WITH guard AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock_shared($1::int, hashtext($2::text)) AND CASE
           WHEN callctl.fires_after({relation_name}::regclass)
           THEN callctl.not_at_once('a trigger fires after UPDATE of ' || {relation_name}) = 0 ELSE true END AS held
), written AS (
  UPDATE {relation} AS t
  SET {assignments}
  FROM unnest($9::text[], $10::text[], $11::int[], {arrays}) AS n (key, version, kind, {names})
  CROSS JOIN LATERAL (SELECT {columns_named} FROM {relation} AS t WHERE {key} = n.key::{key_type} AND {version} = n.version) AS o
  WHERE (SELECT g.held FROM guard AS g)
    AND {key} = n.key::{key_type} AND {version} = n.version AND {condition}
  RETURNING n.version,
            CASE WHEN {stored} THEN n.kind ELSE callctl.not_at_once('row ' || n.key || ' is not stored as it was meant') END AS kind
), counted AS (
  SELECT count(*) AS number, count(*) = $7::bigint AS complete FROM written
), came AS (
  UPDATE callctl.rotation_range AS r
  SET reached = CASE WHEN c.complete THEN $4::text ELSE r.reached END,
      rows_done = CASE WHEN c.complete THEN $5::bigint ELSE r.rows_done END,
      counts = CASE WHEN c.complete THEN $6::jsonb ELSE r.counts || jsonb_build_object(
        'written', coalesce((r.counts ->> 'written')::bigint, 0) + c.number,
        'changes', coalesce(r.counts -> 'changes', '[]') || (
          SELECT jsonb_agg(x.change || jsonb_build_object('values', k.number))
          FROM (SELECT w.kind, count(*) AS number FROM written AS w GROUP BY w.kind) AS k
          CROSS JOIN LATERAL jsonb_array_elements($8::jsonb -> k.kind) AS x (change))) END
  FROM counted AS c
  WHERE r.id = $3::bigint AND c.number > 0
)
SELECT (SELECT g.held FROM guard AS g), extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000,
       c.number, CASE WHEN NOT c.complete THEN (SELECT coalesce(json_agg(w.version), '[]') FROM written AS w) END
FROM counted AS c
