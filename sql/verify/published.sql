-- fast: yes
-- means: the server refuses each UPDATE or DELETE of such a table: the application's, or callctl's own after a deletion by the application
-- fix: run the statement in the row: it removes the table from that publication, and its subscribers get no more changes; or publish the table without that row filter or column list

-- In a publication of all tables or of a schema, only the table's replica identity can be wrong; preflight and the contract check it.
-- check: published-writes: no publication has a row filter or column list by which the server refuses UPDATE or DELETE on a table that callctl relies on
SELECT p.pubname AS publication, c.oid::regclass AS table, w.because,
       format('ALTER PUBLICATION %I DROP TABLE %s;', p.pubname, c.oid::regclass) AS statement
FROM pg_publication_rel AS e
JOIN pg_publication AS p ON p.oid = e.prpubid AND (p.pubupdate OR p.pubdelete)
JOIN pg_class AS c ON c.oid = e.prrelid
-- The columns by which a subscriber identifies the row; with REPLICA IDENTITY FULL all columns.
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(a.attnum), '{}') AS columns
  FROM pg_attribute AS a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND (c.relreplident = 'f' OR EXISTS (
      SELECT FROM pg_index AS i
      WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[])
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END))
) AS identity
-- From 15 on: prqual is the filter, with columns as ":varattno 3"; prattrs are the published columns, as "1 3".
CROSS JOIN LATERAL (
  SELECT 'the row filter names column ' || quote_ident(a.attname) || ', which is not part of the replica identity' AS because
  FROM regexp_matches(to_jsonb(e) ->> 'prqual', ':varattno (\d+)', 'g') AS m (found)
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = m.found[1]::smallint
  WHERE NOT a.attnum = ANY (identity.columns)
  UNION
  SELECT 'the column list lacks ' || quote_ident(a.attname) || ', which is part of the replica identity'
  FROM pg_attribute AS a
  WHERE a.attrelid = c.oid AND a.attnum = ANY (identity.columns) AND to_jsonb(e) ->> 'prattrs' IS NOT NULL
    AND NOT a.attnum::text = ANY (string_to_array(to_jsonb(e) ->> 'prattrs', ' '))
) AS w
WHERE c.relnamespace = 'callctl'::regnamespace
   OR c.relnamespace = 'chatapp'::regnamespace
      AND c.relname IN ('users', 'companies', 'chatbots', 'chatbot_packages', 'ai_models', 'end_users', 'conversations',
                        'integration_accounts', 'calls', 'call_transcripts')
ORDER BY 1, 2, 3;
