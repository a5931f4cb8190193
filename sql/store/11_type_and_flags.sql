-- Both forms of one fact, the type column and the capability flags: the triggers that keep them in step, the proof that they
-- agree before one is dropped, and the chatbots that broke the package rule when it arrived.

CREATE TABLE IF NOT EXISTS callctl.proof (
  relation text PRIMARY KEY,
  triggers text NOT NULL,
  proved_at timestamp with time zone NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE callctl.proof IS
  'Tables whose type column and flags were found to say the same in every row, what one cannot say of the other being saved';
COMMENT ON COLUMN callctl.proof.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.proof.triggers IS
  'The triggers that keep it so, as pg_trigger had them before the rows were read (callctl.sync_triggers)';
COMMENT ON COLUMN callctl.proof.proved_at IS 'Time at which the rows were read';

CREATE TABLE IF NOT EXISTS callctl.inheritance_breach (
  chatbot_id uuid PRIMARY KEY,
  recorded_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.inheritance_breach IS 'Chatbots that had a capability their package does not allow when the rule arrived (step 6)';
COMMENT ON COLUMN callctl.inheritance_breach.chatbot_id IS 'The chatbot';
COMMENT ON COLUMN callctl.inheritance_breach.recorded_at IS 'Time of recording';

CREATE OR REPLACE FUNCTION callctl.forms_agree(p_row text, p_type name, p_chat name, p_call name) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('coalesce(%1$s%2$I = ''call'', false) = (%1$s%4$I AND NOT %1$s%3$I)', p_row, p_type, p_chat, p_call)
$$;
COMMENT ON FUNCTION callctl.forms_agree(text, name, name, name) IS
  'The condition that a row''s type says of its flags what it can: call means calls alone, and any other type, or none, means anything else';

CREATE OR REPLACE FUNCTION callctl.make_sync(p_table regclass, p_type name, p_chat name, p_call name)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
  key name := left(relation, -1) || '_id';  -- of callctl.saved_value
  -- In a form that PostgreSQL prints the same whatever type the column has, for verify to compare.
  differ text := format('to_jsonb(OLD.%1$I) IS DISTINCT FROM to_jsonb(NEW.%1$I) OR OLD.%2$I <> NEW.%2$I OR OLD.%3$I <> NEW.%3$I',
                        p_type, p_chat, p_call);
  unusual text := format('rtrim(concat(%1$s.%2$I)) NOT IN (''chat'', ''call'') OR (%1$s.%3$I AND %1$s.%4$I)', '%1$s', p_type, p_chat, p_call);
  agree text := format('(rtrim(concat(NEW.%1$I)) = ''call'') = (NEW.%3$I AND NOT NEW.%2$I)', p_type, p_chat, p_call);
  t record;
BEGIN
  PERFORM callctl.drop_sync(p_table);
  -- The names are written into the bodies: looked up for each row instead, they cost more than the row's own update.
  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
-- The argument says what the statement names: type, flags; insert: it cannot be known; other: neither, another trigger wrote.
DECLARE
  kind text := NEW.%3$I;
  chat boolean := NEW.%4$I;
  call boolean := NEW.%5$I;
  flags_win boolean;
  unsaid boolean := false;
  writes text;
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- Flags that differ from their defaults were written by code that knows them.
    flags_win := NOT chat OR call;
    IF kind IS NULL AND (SELECT attnotnull FROM pg_attribute WHERE attrelid = TG_RELID AND attname = %3$L) THEN
      -- Code that knows only the flags, and a type column without a default that must be filled all the same.
      flags_win := true;
      unsaid := true;
    END IF;
  ELSE
    flags_win := TG_ARGV[0] = 'flags' OR chat IS DISTINCT FROM OLD.%4$I OR call IS DISTINCT FROM OLD.%5$I;
  END IF;

  IF flags_win THEN
    -- Any type but call says of a row that chats what it can: a hybrid keeps it.
    IF unsaid OR coalesce(kind = 'call', false) <> (call AND NOT chat) THEN
      kind := CASE WHEN call AND NOT chat THEN 'call' ELSE 'chat' END;
      NEW.%3$I := kind;
    END IF;
  ELSIF NOT (chat AND coalesce(kind = 'chat', false))  -- chat over a hybrid says nothing against it
    -- nor does a saved type that callctl restores beside the flags it was saved with
    AND NOT (chat AND call AND TG_OP = 'UPDATE' AND EXISTS (
      SELECT FROM callctl.saved_value AS s
       WHERE s.%6$I = OLD.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
         AND s.value IS NOT DISTINCT FROM to_jsonb(NEW.%3$I) AND s.value IS DISTINCT FROM to_jsonb(OLD.%3$I)
         AND s.left_there = jsonb_build_object('chat', chat, 'call', call))) THEN
    chat := kind IS DISTINCT FROM 'call';
    call := NOT chat;
    NEW.%4$I := chat;
    NEW.%5$I := call;
  END IF;

  -- A value that waits to be restored is older than this write, and stays only where the row held and holds what callctl left
  -- there. If the row says call now, nothing that is saved fits it, and the write that changes it again sees to that: so a
  -- batch that fills one form from the other looks nothing up.
  IF TG_ARGV[0] IN ('type', 'flags') AND NOT (call AND NOT chat) THEN
    writes := callctl.set_writes('on');
    UPDATE callctl.saved_value AS s SET superseded_at = now()
     WHERE s.%6$I = OLD.id AND s.superseded_at IS NULL
       AND (s.field = 'chatbot_type' AND s.saved_by = 'up'
            AND s.value IS DISTINCT FROM to_jsonb(OLD.%3$I) AND s.value IS DISTINCT FROM to_jsonb(NEW.%3$I)
            AND (TG_ARGV[0] = 'type' OR s.left_there <> jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I)
                 OR s.left_there <> jsonb_build_object('chat', chat, 'call', call))
         OR s.field = 'capabilities' AND s.saved_by = 'down'
            AND s.value <> jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I)
            AND s.value <> jsonb_build_object('chat', chat, 'call', call)
            AND (TG_ARGV[0] = 'flags' OR s.left_there IS DISTINCT FROM to_jsonb(OLD.%3$I) OR kind IS DISTINCT FROM 'chat'));
    PERFORM callctl.set_writes(writes);
  END IF;
  RETURN NEW;
END
$body$ $make$, 'sync_' || relation, relation, p_type, p_chat, p_call, key);
  EXECUTE format('REVOKE ALL ON FUNCTION callctl.%I() FROM PUBLIC', 'sync_' || relation);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'sync_' || relation,
    'Keeps the type column and the capability flags in step while both exist: the form that a statement writes wins');

  EXECUTE format($make$
CREATE FUNCTION callctl.%1$I() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
-- Types are kept as the column holds them (char(n) is padded), because that is what the steps compare them with.
DECLARE
  flags jsonb := jsonb_build_object('chat', NEW.%4$I, 'call', NEW.%5$I);
  writes constant text := callctl.set_writes('on');
BEGIN
  IF (NEW.%3$I IN ('chat', 'call')) IS NOT TRUE THEN
    INSERT INTO callctl.saved_value AS s (%6$I, field, saved_by, value, left_there)
    VALUES (NEW.id, 'chatbot_type', 'up', to_jsonb(NEW.%3$I), flags)
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND (OLD.%3$I IN ('chat', 'call')) IS NOT TRUE THEN
    DELETE FROM callctl.saved_value AS s
     WHERE s.%6$I = NEW.id AND s.field = 'chatbot_type' AND s.saved_by = 'up' AND s.superseded_at IS NULL
       AND s.value IS NOT DISTINCT FROM to_jsonb(OLD.%3$I);
  END IF;
  IF NEW.%4$I AND NEW.%5$I THEN
    INSERT INTO callctl.saved_value AS s (%6$I, field, saved_by, value, left_there)
    VALUES (NEW.id, 'capabilities', 'down', flags, to_jsonb(NEW.%3$I))
    ON CONFLICT (relation, field, saved_by, row_id) WHERE superseded_at IS NULL
    DO UPDATE SET value = EXCLUDED.value, left_there = EXCLUDED.left_there, saved_at = now()
     WHERE (s.value, s.left_there) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.left_there);
  ELSIF TG_OP = 'UPDATE' AND OLD.%4$I AND OLD.%5$I THEN
    DELETE FROM callctl.saved_value AS s
     WHERE s.%6$I = NEW.id AND s.field = 'capabilities' AND s.saved_by = 'down' AND s.superseded_at IS NULL
       AND s.value = jsonb_build_object('chat', OLD.%4$I, 'call', OLD.%5$I);
  END IF;
  PERFORM callctl.set_writes(writes);
  RETURN NULL;
END
$body$ $make$, 'keep_' || relation, relation, p_type, p_chat, p_call, key);
  EXECUTE format('REVOKE ALL ON FUNCTION callctl.%I() FROM PUBLIC', 'keep_' || relation);
  EXECUTE format('COMMENT ON FUNCTION callctl.%I() IS %L', 'keep_' || relation,
    'Saves of each row that is stored what one form cannot say of the other, and deletes it when the row says something else');

  -- Triggers fire in the order of their names (PostgreSQL manual, "Overview of Trigger Behavior"): these come last.
  FOR t IN SELECT * FROM (VALUES
    ('zzz_callctl_sync_1_type', format('BEFORE UPDATE OF %I', p_type), NULL, 'sync_', 'type'),
    ('zzz_callctl_sync_2_flags', format('BEFORE UPDATE OF %I, %I', p_chat, p_call), NULL, 'sync_', 'flags'),
    ('zzz_callctl_sync_3_insert', 'BEFORE INSERT', NULL, 'sync_', 'insert'),
    ('zzz_callctl_sync_4_other', 'BEFORE UPDATE',
     format('(%s) AND NOT (%s)', differ, agree), 'sync_', 'other'),
    ('zzz_callctl_keep_insert', 'AFTER INSERT', format(unusual, 'NEW'), 'keep_', NULL),
    ('zzz_callctl_keep_update', 'AFTER UPDATE',
     format('(%s) AND (%s OR %s)', differ, format(unusual, 'NEW'), format(unusual, 'OLD')), 'keep_', NULL)
  ) AS wanted (name, event, condition, function, argument) LOOP
    EXECUTE format('CREATE TRIGGER %I %s ON %s FOR EACH ROW %s EXECUTE FUNCTION callctl.%I(%s)', t.name, t.event, p_table,
                   'WHEN (' || t.condition || ')', t.function || relation, coalesce(quote_literal(t.argument), ''));
    -- For replicas' writers and loaders, too, which set session_replication_role.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', p_table, t.name);
  END LOOP;
  PERFORM callctl.give_to_owner();
END
$$;
COMMENT ON FUNCTION callctl.make_sync(regclass, name, name, name) IS
  'Makes, or makes again, the triggers that keep a table''s type column and capability flags in step, and save what one cannot say of the other';

CREATE OR REPLACE FUNCTION callctl.drop_sync(p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  named name := (SELECT relname FROM pg_class WHERE oid = p_table);
  t record;
BEGIN
  FOR t IN
    SELECT g.tgname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
     WHERE g.tgrelid = p_table AND p.pronamespace = 'callctl'::regnamespace ORDER BY g.tgname
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, p_table);
  END LOOP;
  EXECUTE format('DROP FUNCTION IF EXISTS callctl.%I(), callctl.%I()', 'sync_' || named, 'keep_' || named);
  DELETE FROM callctl.proof WHERE relation = named;
END
$$;
COMMENT ON FUNCTION callctl.drop_sync(regclass) IS 'Drops what callctl.make_sync() has made';

CREATE OR REPLACE FUNCTION callctl.sync_triggers(p_table regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT string_agg(concat_ws(' ', g.tgname, g.oid, g.tgenabled, g.xmin), ', ' ORDER BY g.tgname)
    FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
   WHERE g.tgrelid = p_table AND p.pronamespace = 'callctl'::regnamespace
  HAVING count(*) FILTER (WHERE g.tgenabled = 'A') = 6
$$;
COMMENT ON FUNCTION callctl.sync_triggers(regclass) IS
  'The triggers of callctl.make_sync() with the version of their rows in pg_trigger, which any ENABLE or DISABLE TRIGGER changes; NULL if one is missing or does not fire always';

CREATE OR REPLACE PROCEDURE callctl.prove_forms(
  p_step integer, p_direction text, p_table regclass, p_type name, p_chat name, p_call name)
LANGUAGE plpgsql AS $$
DECLARE
  -- In one transaction for all steps (--atomic) no other session writes: no commit, and no lock to release.
  alone constant boolean := coalesce(pg_catalog.current_setting('callctl.atomic', true), '') = 'on';
  wait constant text := coalesce(nullif(pg_catalog.current_setting('callctl.lock_timeout', true), ''), '200ms');
  named name;
  problem text;
  broken boolean := false;
BEGIN
  IF EXISTS (SELECT FROM unnest(ARRAY[p_type, p_chat, p_call]) AS wanted WHERE NOT EXISTS (
               SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = wanted AND NOT attisdropped)) THEN
    RETURN;  -- one of the two forms is gone: a run that is resumed
  END IF;
  named := (SELECT relname FROM pg_class WHERE oid = p_table);

  IF callctl.is_subscribed(p_table) THEN
    problem := format('a subscription writes to %s: a constraint would stop it', p_table);
  ELSIF callctl.sync_triggers(p_table) IS NULL THEN
    PERFORM set_config('lock_timeout', wait, true);
    PERFORM callctl.make_sync(p_table, p_type, p_chat, p_call);
    IF NOT alone THEN
      COMMIT;
    END IF;
  END IF;

  IF problem IS NULL THEN
    -- The triggers first, then the rows: what is written past a trigger that was off in between changes the triggers' rows.
    INSERT INTO callctl.proof AS f (relation, triggers) VALUES (named, callctl.sync_triggers(p_table))
    ON CONFLICT ON CONSTRAINT proof_pkey DO UPDATE SET triggers = EXCLUDED.triggers, proved_at = clock_timestamp();
    problem := callctl.unsaved_forms(p_direction, p_table, p_type, p_chat, p_call);
  END IF;
  IF problem IS NULL THEN
    problem := callctl.forms_that_differ(p_table, p_type, p_chat, p_call);
  END IF;

  IF problem IS NULL AND NOT EXISTS (
    SELECT FROM pg_constraint WHERE conrelid = p_table AND conname = 'callctl_forms_agree' AND convalidated) THEN
    PERFORM set_config('lock_timeout', wait, true);
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS callctl_forms_agree, ADD CONSTRAINT callctl_forms_agree CHECK ((%s) IS TRUE) NOT VALID',
                   p_table, callctl.forms_agree('', p_type, p_chat, p_call));
    IF NOT alone THEN
      COMMIT;
    END IF;
    BEGIN
      EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT callctl_forms_agree', p_table);
    EXCEPTION WHEN check_violation THEN
      broken := true;
    END;
    IF broken THEN
      PERFORM set_config('lock_timeout', wait, true);
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT callctl_forms_agree', p_table);
      problem := coalesce(callctl.forms_that_differ(p_table, p_type, p_chat, p_call), 'a row was written past the triggers meanwhile');
    END IF;
  END IF;

  IF problem IS NOT NULL THEN
    IF NOT alone THEN
      -- Nothing that cannot be done again was done: the step is pending, and the way down is free.
      DELETE FROM callctl.checkpoint AS c WHERE c.step = p_step AND c.direction = p_direction;
      COMMIT;
    END IF;
    RAISE EXCEPTION USING MESSAGE = problem, ERRCODE = 'check_violation';
  END IF;
END
$$;
COMMENT ON PROCEDURE callctl.prove_forms(integer, text, regclass, name, name, name) IS
  'Proves, before one form is dropped, that every row''s type and flags say the same and that what one cannot say of the other is saved; leaves a validated CHECK that keeps it so. Otherwise refuses, naming rows, and leaves both forms working';

CREATE OR REPLACE FUNCTION callctl.forms_that_differ(p_table regclass, p_type name, p_chat name, p_call name) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found text;
  total bigint;
BEGIN
  EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN shown END, ''; '') FROM (
      SELECT row_number() OVER () AS number, concat_ws('' '', t.id, ''type'', coalesce(t.%2$I::text, ''NULL''), ''chat'', t.%3$I, ''call'', t.%4$I) AS shown
        FROM %1$s AS t WHERE (%5$s) IS NOT TRUE) AS different',
    p_table, p_type, p_chat, p_call, callctl.forms_agree('t.', p_type, p_chat, p_call)) INTO total, found;
  RETURN CASE WHEN total > 0 THEN format(
    'in %1$s %2$s of %3$s the type and the flags contradict each other (%4$s), so neither can be dropped; %5$s. To take the type''s side: UPDATE %3$s SET %6$I = %6$I WHERE (%8$s) IS NOT TRUE; to take the flags'': UPDATE %3$s SET %7$I = %7$I WHERE (%8$s) IS NOT TRUE;',
    total, CASE total WHEN 1 THEN 'row' ELSE 'rows' END, p_table, found, callctl.in_the_way(p_table), p_type, p_chat,
    callctl.forms_agree('', p_type, p_chat, p_call)) END;
END
$$;
COMMENT ON FUNCTION callctl.forms_that_differ(regclass, name, name, name) IS
  'Returns a sentence with five of the rows whose type and flags contradict each other; NULL for none';

CREATE OR REPLACE FUNCTION callctl.flags_filled(p_relation name) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(max(h.id) FILTER (WHERE h.step = 4), 0)
         > coalesce(max(h.id) FILTER (WHERE h.step = CASE p_relation WHEN 'chatbots' THEN 3 ELSE 2 END), 0)
    FROM callctl.history AS h WHERE h.direction = 'up'
$$;
COMMENT ON FUNCTION callctl.flags_filled(name) IS
  'Whether step 4 was applied since a table got its flags: until then the type of a row counts, and saved flags wait to be restored';

CREATE OR REPLACE FUNCTION callctl.unsaved_forms(p_direction text, p_table regclass, p_type name, p_chat name, p_call name)
RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  relation name := (SELECT relname FROM pg_class WHERE oid = p_table);
  field text := CASE p_direction WHEN 'up' THEN 'chatbot_type' ELSE 'capabilities' END;
  found text;
  total bigint;
BEGIN
  EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN id::text END, '', '') FROM (
      SELECT row_number() OVER () AS number, t.id FROM %1$s AS t WHERE %2$s AND NOT EXISTS (
        SELECT FROM callctl.saved_value AS s
         WHERE s.row_id = t.id AND s.relation = %3$L AND s.field = %4$L AND s.saved_by = %5$L AND s.superseded_at IS NULL
           AND s.value IS NOT DISTINCT FROM %6$s)) AS missing',
    p_table,
    CASE p_direction WHEN 'up' THEN format('(t.%I IN (''chat'', ''call'')) IS NOT TRUE', p_type)
                     ELSE format('t.%I AND t.%I', p_chat, p_call) END,
    relation, field, p_direction,
    CASE p_direction WHEN 'up' THEN format('to_jsonb(t.%I)', p_type)
                     ELSE format('jsonb_build_object(''chat'', t.%I, ''call'', t.%I)', p_chat, p_call) END)
    INTO total, found;
  IF total = 0 THEN
    -- A saved value that the row does not hold any more, though both forms are filled: it would replace a newer one.
    EXECUTE format('SELECT count(*), string_agg(CASE WHEN number <= 5 THEN id::text END, '', '') FROM (
        SELECT row_number() OVER () AS number, t.id FROM callctl.saved_value AS s JOIN %1$s AS t ON t.id = s.row_id
         WHERE s.relation = %2$L AND s.field = %3$L AND s.saved_by = %4$L AND s.superseded_at IS NULL
           AND s.value IS DISTINCT FROM %5$s AND (%4$L = ''up'' OR callctl.flags_filled(%2$L))) AS stale',
      p_table, relation, field, p_direction,
      CASE p_direction WHEN 'up' THEN format('to_jsonb(t.%I)', p_type)
                       ELSE format('jsonb_build_object(''chat'', t.%I, ''call'', t.%I)', p_chat, p_call) END)
      INTO total, found;
  END IF;
  RETURN CASE WHEN total > 0 THEN format('%s of %s %s of %s is not saved (%s): it was written past the triggers a moment ago; run the same command again',
    CASE p_direction WHEN 'up' THEN 'the type' ELSE 'the pair of flags' END, total, CASE total WHEN 1 THEN 'row' ELSE 'rows' END, p_table, found) END;
END
$$;
COMMENT ON FUNCTION callctl.unsaved_forms(text, regclass, name, name, name) IS
  'Returns a sentence with five of the rows whose value for the other form is not saved, or is saved in an older version; NULL for none';

CREATE OR REPLACE PROCEDURE callctl.end_sync(p_table regclass)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
  -- No one writes any more. What was found of every row holds as long as what has kept it so was never off.
  IF NOT EXISTS (SELECT FROM pg_constraint
                  WHERE conrelid = p_table AND conname = 'callctl_forms_agree' AND contype = 'c' AND convalidated) THEN
    RAISE EXCEPTION 'the CHECK callctl_forms_agree of % is missing or not validated: it was dropped a moment ago', p_table;
  END IF;
  IF callctl.sync_triggers(p_table) IS DISTINCT FROM (
       SELECT f.triggers FROM callctl.proof AS f JOIN pg_class AS c ON c.oid = p_table AND c.relname = f.relation) THEN
    RAISE EXCEPTION 'a trigger of callctl on % was disabled, enabled or replaced a moment ago: a write may have passed it by', p_table;
  END IF;
  PERFORM callctl.drop_sync(p_table);
END
$$;
COMMENT ON PROCEDURE callctl.end_sync(regclass) IS
  'Drops what callctl.make_sync() has made, in the transaction that drops one of the forms, where what callctl.prove_forms() found still holds behind the lock; reads the catalog alone';
