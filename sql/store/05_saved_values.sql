-- Values that a step removed or overwrote, to be put back by the opposite direction.
-- What is saved of a row is deleted with the row and follows its primary key: the foreign keys are in store_keys.sql.

CREATE TABLE IF NOT EXISTS callctl.saved_value (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid,
  company_id uuid,
  chatbot_id uuid,
  chatbot_package_id uuid,
  ai_model_id uuid,
  relation text GENERATED ALWAYS AS (CASE
    WHEN user_id IS NOT NULL THEN 'users'
    WHEN company_id IS NOT NULL THEN 'companies'
    WHEN chatbot_id IS NOT NULL THEN 'chatbots'
    WHEN chatbot_package_id IS NOT NULL THEN 'chatbot_packages'
    ELSE 'ai_models' END) STORED,
  row_id uuid GENERATED ALWAYS AS (coalesce(user_id, company_id, chatbot_id, chatbot_package_id, ai_model_id)) STORED,
  field text NOT NULL,
  saved_by text NOT NULL CHECK (saved_by IN ('up', 'down')),
  value jsonb,
  left_there jsonb,
  saved_at timestamp with time zone NOT NULL DEFAULT now(),
  superseded_at timestamp with time zone,
  CONSTRAINT saved_value_one_row CHECK (num_nonnulls(user_id, company_id, chatbot_id, chatbot_package_id, ai_model_id) = 1)
);
-- The row comes first: a uuid decides a comparison at once, where the texts before it would be the same for most.
DO $$ BEGIN
  -- IF NOT EXISTS would lock out applications whose triggers write here, before it looks.
  IF to_regclass('callctl.saved_value_one_live') IS NULL THEN
    CREATE UNIQUE INDEX saved_value_one_live ON callctl.saved_value (row_id, field, relation, saved_by)
      WHERE superseded_at IS NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_one_live IS 'One value waits to be put back; superseded ones beside it are only listed';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_user') IS NULL THEN
    CREATE INDEX saved_value_user ON callctl.saved_value (user_id) WHERE user_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_user IS 'The values of one user, for the foreign key';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_company') IS NULL THEN
    CREATE INDEX saved_value_company ON callctl.saved_value (company_id) WHERE company_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_company IS 'The values of one company, for the foreign key';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_chatbot') IS NULL THEN
    CREATE INDEX saved_value_chatbot ON callctl.saved_value (chatbot_id) WHERE chatbot_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_chatbot IS 'The values of one chatbot, for the foreign key and for the trigger that looks for them';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_chatbot_package') IS NULL THEN
    CREATE INDEX saved_value_chatbot_package ON callctl.saved_value (chatbot_package_id)
      WHERE chatbot_package_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_chatbot_package IS 'The values of one package, for the foreign key and for the trigger that looks for them';
DO $$ BEGIN
  IF to_regclass('callctl.saved_value_ai_model') IS NULL THEN
    CREATE INDEX saved_value_ai_model ON callctl.saved_value (ai_model_id) WHERE ai_model_id IS NOT NULL;
  END IF;
END $$;
COMMENT ON INDEX callctl.saved_value_ai_model IS 'The values of one model, for the foreign key';
COMMENT ON TABLE callctl.saved_value IS 'Values that a step removed or overwrote; the opposite direction puts them back';
COMMENT ON COLUMN callctl.saved_value.id IS 'Order in which they were saved';
COMMENT ON COLUMN callctl.saved_value.user_id IS 'The row, where it is a user: deleted with it, and changed with its key (store_keys.sql)';
COMMENT ON COLUMN callctl.saved_value.company_id IS 'The row, where it is a company';
COMMENT ON COLUMN callctl.saved_value.chatbot_id IS 'The row, where it is a chatbot';
COMMENT ON COLUMN callctl.saved_value.chatbot_package_id IS 'The row, where it is a package';
COMMENT ON COLUMN callctl.saved_value.ai_model_id IS 'The row, where it is a model';
COMMENT ON COLUMN callctl.saved_value.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_value.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_value.field IS 'The column or settings path: chatbot_type, capabilities, avatar_url, settings.call, and so on';
COMMENT ON COLUMN callctl.saved_value.saved_by IS 'The direction that took the value away; the other one puts it back';
COMMENT ON COLUMN callctl.saved_value.value IS 'The value that was there; NULL for SQL NULL';
COMMENT ON COLUMN callctl.saved_value.left_there IS 'What callctl left in its place; the value goes back only where this is still stored';
COMMENT ON COLUMN callctl.saved_value.saved_at IS 'When it was saved';
COMMENT ON COLUMN callctl.saved_value.superseded_at IS 'When a newer write was found in its place; listed until purge, never put back';

CREATE TABLE IF NOT EXISTS callctl.known_before (
  step integer PRIMARY KEY,
  known_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.known_before IS
  'Steps before which everything was saved that they could overwrite: where nothing is saved of a row, there was nothing. Not so of a step that was done without callctl, or after callctl purge';
COMMENT ON COLUMN callctl.known_before.step IS 'The step; its row is deleted when the step is taken back';
COMMENT ON COLUMN callctl.known_before.known_at IS 'When everything was saved';

CREATE TABLE IF NOT EXISTS callctl.spared_value (
  id bigint NOT NULL,
  user_id uuid,
  company_id uuid,
  chatbot_id uuid,
  chatbot_package_id uuid,
  ai_model_id uuid,
  field text NOT NULL,
  saved_by text NOT NULL,
  value jsonb,
  left_there jsonb,
  saved_at timestamp with time zone NOT NULL,
  superseded_at timestamp with time zone
);
DO $$ BEGIN
  -- Rows are deleted here in a client's TRUNCATE, which a publication of all tables would refuse without an identity.
  IF (SELECT relreplident FROM pg_class WHERE oid = 'callctl.spared_value'::regclass) <> 'f' THEN
    ALTER TABLE callctl.spared_value REPLICA IDENTITY FULL;
  END IF;
END $$;
COMMENT ON TABLE callctl.spared_value IS
  'What TRUNCATE ... CASCADE of one platform table takes of callctl.saved_value, until the end of that statement';
COMMENT ON COLUMN callctl.spared_value.id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.user_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.company_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.chatbot_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.chatbot_package_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.ai_model_id IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.field IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.saved_by IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.value IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.left_there IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.saved_at IS 'As in saved_value';
COMMENT ON COLUMN callctl.spared_value.superseded_at IS 'As in saved_value';

CREATE OR REPLACE FUNCTION callctl.spare_values() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "DateStyle" = 'ISO, MDY' SET "TimeZone" = 'UTC' AS $$
DECLARE
  k record;
  writes text;
BEGIN
  IF TG_WHEN = 'BEFORE' THEN
    -- All of them go, and those that come back below are counted again.
    INSERT INTO callctl.tally (relation, part, row_count, digest)
    SELECT 'saved_value', s.relation || '.' || s.field, -count(*), -sum(callctl.row_digest(s::text))
      FROM callctl.saved_value AS s GROUP BY s.relation, s.field;
    DELETE FROM callctl.spared_value;  -- none is there, unless another hand put it there
    INSERT INTO callctl.spared_value
    SELECT s.id, s.user_id, s.company_id, s.chatbot_id, s.chatbot_package_id, s.ai_model_id, s.field, s.saved_by, s.value,
           s.left_there, s.saved_at, s.superseded_at FROM callctl.saved_value AS s;
    RETURN NULL;
  END IF;
  writes := callctl.set_writes('on');
  FOR k IN
    SELECT a.attname AS key, c.confrelid::regclass AS rows FROM pg_constraint AS c
      JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.conrelid = TG_RELID AND c.contype = 'f'
  LOOP
    EXECUTE format(
      'INSERT INTO callctl.saved_value (id, %1$I, field, saved_by, value, left_there, saved_at, superseded_at) OVERRIDING SYSTEM VALUE
       SELECT s.id, s.%1$I, s.field, s.saved_by, s.value, s.left_there, s.saved_at, s.superseded_at
         FROM callctl.spared_value AS s JOIN %2$s AS t ON t.id = s.%1$I', k.key, k.rows);
  END LOOP;
  PERFORM callctl.set_writes(writes);
  DELETE FROM callctl.spared_value;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION callctl.spare_values() IS
  'Keeps, when one table of the platform is truncated with CASCADE, what is saved of the rows of the others';

DO $$ BEGIN
  -- Made once: to make them again would lock out applications whose triggers save values.
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'callctl.saved_value'::regclass AND tgname = 'spare_before') THEN
    CREATE TRIGGER spare_before BEFORE TRUNCATE ON callctl.saved_value
      FOR EACH STATEMENT EXECUTE FUNCTION callctl.spare_values();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'callctl.saved_value'::regclass AND tgname = 'spare_after') THEN
    CREATE TRIGGER spare_after AFTER TRUNCATE ON callctl.saved_value
      FOR EACH STATEMENT EXECUTE FUNCTION callctl.spare_values();
  END IF;
END $$;

CREATE OR REPLACE FUNCTION callctl.follow_rows(p_saved regclass, p_column name, p_table regclass)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint AS k JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
                  WHERE k.conrelid = p_saved AND k.confrelid = p_table AND k.contype = 'f' AND a.attname = p_column) THEN
    EXECUTE format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES %s (id) ON UPDATE CASCADE ON DELETE CASCADE',
                   p_saved, p_column, p_table);
  END IF;
END
$$;
COMMENT ON FUNCTION callctl.follow_rows(regclass, name, regclass) IS
  'Adds the foreign key by which what is saved of a row is deleted with it and follows its primary key, unless it is there';
