-- What keeps this schema as it was made: one owner, functions of the owner's that no one else puts on a table, numbers that are
-- not taken.

CREATE OR REPLACE FUNCTION callctl.give_to_owner() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- If another role continues a migration, what it makes would be its own, and the functions of the rest could not write there.
DECLARE
  owner constant oid := (
    SELECT mode() WITHIN GROUP (ORDER BY o.owner)
      FROM (SELECT n.nspowner AS owner FROM pg_namespace AS n WHERE n.nspname = 'callctl'
            UNION ALL SELECT c.relowner FROM pg_class AS c WHERE c.relnamespace = 'callctl'::regnamespace AND c.relkind = 'r') AS o);
  o record;
BEGIN
  FOR o IN
    SELECT format('TABLE %s', c.oid::regclass) AS object, c.relowner AS owner FROM pg_class AS c
     WHERE c.relnamespace = 'callctl'::regnamespace AND c.relkind = 'r'
       AND c.relname NOT IN ('integration_accounts', 'calls', 'call_transcripts')
    UNION ALL
    SELECT format('ROUTINE %s', p.oid::regprocedure), p.proowner FROM pg_proc AS p WHERE p.pronamespace = 'callctl'::regnamespace
  LOOP
    IF o.owner <> owner AND o.owner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = current_user) THEN
      EXECUTE format('ALTER %s OWNER TO %I', o.object, pg_get_userbyid(owner));
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.give_to_owner() IS
  'Gives what the current role owns in this schema to the role that owns most of its tables';

CREATE OR REPLACE FUNCTION callctl.sequences_behind()
RETURNS TABLE (sequence text, relation text, next numeric, highest bigint, statement text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s record;
BEGIN
  FOR s IN
    SELECT d.objid::regclass AS name, c.oid::regclass AS of_table, a.attname, q.seqincrement, q.seqmax
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attidentity <> ''
      JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
                         AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
      JOIN pg_sequence AS q ON q.seqrelid = d.objid
     WHERE c.relnamespace = 'callctl'::regnamespace AND c.relkind = 'r'
     ORDER BY c.relname
  LOOP
    CONTINUE WHEN NOT (has_sequence_privilege(s.name, 'SELECT') AND has_table_privilege(s.of_table, 'SELECT'));
    sequence := s.name;
    relation := s.of_table;
    statement := format('SELECT setval(%L, (SELECT coalesce(max(%I), 0) + 1 FROM %s), false);', s.name, s.attname, s.of_table);
    EXECUTE format('SELECT q.last_value::numeric + CASE WHEN q.is_called THEN %s ELSE 0 END, (SELECT max(%I) FROM %s) FROM %s AS q',
                   s.seqincrement, s.attname, s.of_table, s.name) INTO next, highest;
    -- callctl has not come to a number near the end.
    IF next <= coalesce(highest, 0) OR next > s.seqmax - 1000000000 THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END
$$;
COMMENT ON FUNCTION callctl.sequences_behind() IS
  'The sequences of this schema''s tables whose next number is not above those that are there, or is at the end, as far as the role may read them, and the statement that sets each';

SELECT callctl.give_to_owner();
-- A function that runs as its owner does so on any table that has it as a trigger: so no other role may use it. A trigger that is
-- there fires without that right.
DO $$
DECLARE
  f record;
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure AS name FROM pg_proc AS p
     WHERE p.pronamespace = 'callctl'::regnamespace AND p.prosecdef
       AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS g WHERE g.grantee = 0)
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', f.name);
  END LOOP;
END $$;
DO $$
DECLARE
  s record;
BEGIN
  FOR s IN SELECT * FROM callctl.sequences_behind() LOOP
    EXECUTE s.statement;
  END LOOP;
END $$;
