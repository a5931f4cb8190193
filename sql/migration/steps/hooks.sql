-- Of each trigger that is not known to keep the row whose writing fires it: what is not known ('writes': 'may be swallowed', 'not known')
-- and the words of its function that say so ('because'). callctl puts it in the place of the query 'hook' of facts.sql and of a
-- question of preflight, with the tables to look at in the place of 'watched'. Nothing is run, and what a function calls is not followed.
-- A BEFORE ROW trigger keeps the row if it returns NEW, for a DELETE if it returns OLD. Known are RETURN NEW and OLD, COALESCE of the two,
-- and CASE over TG_OP of the two with an ELSE (for which operation which of them is not looked at); an alias for NEW or OLD counts as that.
-- NULL anywhere in what is returned may swallow the row.
-- Not known is any other RETURN, a NEW or OLD that is assigned as a whole, and what is not written in PL/pgSQL: save the server's own
-- functions and those of contrib that always return their row. An AFTER trigger shows it where its text deletes from its own table.
WITH watched AS (
  SELECT oid FROM pg_catalog.pg_class
), hooked AS (
  SELECT t.oid, l.lanname AS language, c.relname AS own,
         t.tgtype::integer & 3 = 3 AS before_row, t.tgtype::integer & 66 = 0 AS after,
         t.tgtype::integer & 4 <> 0 AS inserts, t.tgtype::integer & 8 <> 0 AS deletes, t.tgtype::integer & 16 <> 0 AS updates,
         l.lanname = 'internal' AND n.nspname = 'pg_catalog' OR l.lanname = 'c' AND regexp_replace(p.probin, '.*/', '') || '.' || p.prosrc IN (
           'moddatetime.moddatetime', 'autoinc.autoinc', 'insert_username.insert_username', 'lo.lo_manage',
           'refint.check_primary_key', 'refint.check_foreign_key') AS known,
         -- Comments are a space; names in quotes and strings stay.
         regexp_replace(p.prosrc, '("(?:[^"]|"")*"|\m[eE]''(?:[^''\\]|\\.|'''')*''|''(?:[^'']|'''')*''|\$\w*\$[^$]*\$\w*\$)|--[^\n\r]*|/\*(?:[^*]|\*(?!/))*\*/',
                        '\1 ', 'g') AS said
  FROM pg_catalog.pg_trigger AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
  JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
  WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid IN (SELECT oid FROM watched)
    AND (t.tgtype::integer & 3 = 3 OR t.tgtype::integer & 66 = 0 AND t.tgtype::integer & 20 <> 0 AND p.prosrc ~* '\mdelete\M')
), body AS (
  SELECT f.*,
         -- Without what is in quotes: strings and names.
         regexp_replace(f.said, '"(?:[^"]|"")*"|\m[eE]''(?:[^''\\]|\\.|'''')*''|''(?:[^'']|'''')*''|\$\w*\$[^$]*\$\w*\$', ' ', 'g') AS text
  FROM hooked AS f
  WHERE f.language = 'plpgsql'
), returned AS (
  SELECT b.*, CASE
           WHEN w.words !~ '^\w+$' THEN w.words
           WHEN b.text ~* ('\m' || w.words || '\s+alias\s+for\s+new\M') THEN 'new'
           WHEN b.text ~* ('\m' || w.words || '\s+alias\s+for\s+old\M') THEN 'old'
           ELSE w.words END AS words
  FROM body AS b
  CROSS JOIN LATERAL regexp_matches(b.text, '\mreturn\M([^;]*)', 'gi') AS r (found)
  CROSS JOIN LATERAL (
    -- In small letters, with one space where there was any, and without the parentheses around it.
    SELECT regexp_replace(regexp_replace(btrim(regexp_replace(regexp_replace(lower(r.found[1]), '\s+', ' ', 'g'), ' ?([(,)]) ?', '\1', 'g')),
                                         '^\((.*)\)$', '\1'), '^\((.*)\)$', '\1') AS words
  ) AS w
  WHERE b.before_row
), looked AS (
  SELECT r.oid, CASE
           WHEN r.words = 'new' AND (r.inserts OR r.updates) OR r.words = 'old' AND r.deletes THEN 'kept'
           -- One function for several triggers: it may come here for another operation alone.
           WHEN r.words IN ('new', 'old') THEN CASE WHEN r.text ~* '\mtg_op\M' THEN 'not known' ELSE 'may be swallowed' END
           WHEN r.words = 'coalesce(new,old)' THEN 'kept'
           WHEN r.words = 'coalesce(old,new)' THEN CASE WHEN r.updates THEN 'may be swallowed' ELSE 'kept' END
           WHEN r.words ~ '^case (tg_op (when then (new|old) )+|(when tg_op (=|<>|!=|in) ?([(,) ]*) ?then (new|old) )+)else (new|old) end$' THEN 'kept'
           WHEN regexp_replace(r.words, '\mis (not )?(distinct from )?null\M', '', 'g') ~ '\mnull\M' THEN 'may be swallowed'
           ELSE 'not known' END AS writes,
         btrim('RETURN ' || CASE WHEN r.words IN ('new', 'old', 'null') THEN upper(r.words) ELSE left(r.words, 60) END) AS because
  FROM returned AS r
  UNION ALL
  SELECT b.oid, CASE WHEN m.found[2] ~* '^null\M' THEN 'may be swallowed' ELSE 'not known' END, upper(m.found[1]) || ' := ' || left(m.found[2], 60)
  FROM body AS b
  CROSS JOIN LATERAL regexp_matches(b.text, '(?:;|\mbegin|\mthen|\melse|\mloop|^)\s*(new|old)\s*:?=\s*([^;]*)', 'gi') AS m (found)
  WHERE b.before_row
  UNION ALL
  SELECT b.oid, 'not known', 'INTO ' || upper(m.found[1])
  FROM body AS b
  CROSS JOIN LATERAL regexp_matches(b.text, '\minto\s+(?:strict\s+)?(new|old)\M(?!\s*\.)', 'gi') AS m (found)
  WHERE b.before_row
  UNION ALL
  SELECT b.oid, 'not known', 'FOR ' || upper(m.found[1]) || ' IN'
  FROM body AS b
  CROSS JOIN LATERAL regexp_matches(b.text, '\mfor(?:each)?\s+(new|old)\s+(?:slice\s+\d+\s+)?in\M', 'gi') AS m (found)
  WHERE b.before_row
  UNION ALL
  -- A comment in a comment, a string in dollars with one in it: the words may be others. So may NEW in quotes.
  SELECT b.oid, 'not known', 'quotes or comments' FROM body AS b
  WHERE b.before_row AND (b.text ~ '''|"|\$[[:alpha:]_]*\$|/\*|\*/' OR b.said ~ '"(new|old)"')
  UNION ALL
  SELECT f.oid, 'not known', 'language ' || f.language FROM hooked AS f WHERE f.before_row AND f.language <> 'plpgsql' AND NOT f.known
  UNION ALL
  SELECT b.oid, 'not known', 'DELETE FROM ' || quote_ident(b.own)
  FROM body AS b
  WHERE b.after AND (b.inserts OR b.updates)
    AND b.said ~* ('\mdelete\s+from\s+(only\s+)?("?[\w$]+"?\s*\.\s*)?"?' || regexp_replace(b.own, '(\W)', '\\\1', 'g') || '"?(?![\w$"])')
)
SELECT l.oid, l.writes, string_agg(DISTINCT l.because, ', ') AS because
FROM looked AS l
WHERE l.writes = (SELECT min(w.writes) FROM looked AS w WHERE w.oid = l.oid AND w.writes <> 'kept')
GROUP BY l.oid, l.writes
