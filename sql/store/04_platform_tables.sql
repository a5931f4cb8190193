-- A table of the platform as callctl writes to it: its lock, its partitions and children, and the triggers, rules and
-- subscriptions that write to it as well.

CREATE OR REPLACE PROCEDURE callctl.lock_table(p_table regclass)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
END
$$;
COMMENT ON PROCEDURE callctl.lock_table(regclass) IS
  'Locks a table until the transaction ends; unlike LOCK TABLE it can be in a file that psql runs statement by statement';

CREATE OR REPLACE FUNCTION callctl.with_children(p_table regclass) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE t (oid) AS (
    SELECT p_table::oid
    UNION
    SELECT h.inhrelid FROM t JOIN pg_inherits h ON h.inhparent = t.oid
  )
  SELECT t.oid FROM t
$$;
COMMENT ON FUNCTION callctl.with_children(regclass) IS 'A table, its partitions and its inheritance children';

CREATE OR REPLACE FUNCTION callctl.fires_after(p_table regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM pg_trigger g
                  WHERE g.tgrelid IN (SELECT callctl.with_children(p_table)) AND NOT g.tgisinternal AND g.tgenabled <> 'D'
                    AND g.tgtype & 16 = 16 AND g.tgtype & 66 = 0)  -- UPDATE; neither BEFORE nor INSTEAD OF
$$;
COMMENT ON FUNCTION callctl.fires_after(regclass) IS
  'Whether a trigger fires after an UPDATE of a table: it can change what RETURNING has said';

CREATE OR REPLACE FUNCTION callctl.not_at_once(p_why text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '%', p_why USING ERRCODE = 'CCT01';
END
$$;
COMMENT ON FUNCTION callctl.not_at_once(text) IS
  'Ends a statement that writes and is a transaction: its rows are written again in one that can look at them before it commits';

CREATE OR REPLACE FUNCTION callctl.in_the_way(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce('on it are ' || string_agg(w.what, ', ' ORDER BY w.what), 'no trigger or rule of others is on it')
    FROM (SELECT format('trigger %I (%s, function %s)', g.tgname,
                        CASE g.tgenabled WHEN 'D' THEN 'disabled' ELSE 'enabled' END, g.tgfoid::regprocedure) AS what
            FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
           WHERE g.tgrelid IN (SELECT callctl.with_children(p_table)) AND NOT g.tgisinternal
             AND p.pronamespace <> 'callctl'::regnamespace AND p.proname <> 'check_chatbot_capabilities'
          UNION
          SELECT format('rule %I', r.rulename) FROM pg_rewrite r WHERE r.ev_class = p_table AND r.rulename <> '_RETURN') AS w
$$;
COMMENT ON FUNCTION callctl.in_the_way(regclass) IS
  'Names the triggers and rules of other programs on a table, which could have changed or dropped a write';

CREATE OR REPLACE FUNCTION callctl.is_subscribed(p_table regclass) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Before PostgreSQL 14 only a superuser may read which subscription is which: then any that is enabled counts.
  IF has_column_privilege('pg_subscription', 'oid', 'SELECT') THEN
    RETURN EXISTS (SELECT FROM pg_subscription_rel AS r JOIN pg_subscription AS s ON s.oid = r.srsubid
                    WHERE r.srrelid = p_table AND s.subenabled);
  END IF;
  RETURN EXISTS (SELECT FROM pg_subscription_rel AS r WHERE r.srrelid = p_table)
     AND EXISTS (SELECT FROM pg_subscription AS s WHERE s.subenabled);
END
$$;
COMMENT ON FUNCTION callctl.is_subscribed(regclass) IS 'Whether an enabled subscription writes to a table';
