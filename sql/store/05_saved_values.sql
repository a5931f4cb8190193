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
COMMENT ON COLUMN callctl.saved_value.user_id IS 'The row, if it is a user: deleted with it, and changed with its key (store_keys.sql)';
COMMENT ON COLUMN callctl.saved_value.company_id IS 'The row, if it is a company';
COMMENT ON COLUMN callctl.saved_value.chatbot_id IS 'The row, if it is a chatbot';
COMMENT ON COLUMN callctl.saved_value.chatbot_package_id IS 'The row, if it is a package';
COMMENT ON COLUMN callctl.saved_value.ai_model_id IS 'The row, if it is a model';
COMMENT ON COLUMN callctl.saved_value.relation IS 'The table, by its documented name';
COMMENT ON COLUMN callctl.saved_value.row_id IS 'Primary key of the row';
COMMENT ON COLUMN callctl.saved_value.field IS 'The column or settings path: chatbot_type, capabilities, avatar_url, settings.call, and so on';
COMMENT ON COLUMN callctl.saved_value.saved_by IS 'The direction that took the value away; the other one puts it back';
COMMENT ON COLUMN callctl.saved_value.value IS 'The value that was there; NULL for SQL NULL';
COMMENT ON COLUMN callctl.saved_value.left_there IS 'Value that callctl left in its place; the saved value is restored only if this is still stored';
COMMENT ON COLUMN callctl.saved_value.saved_at IS 'Time of saving';
COMMENT ON COLUMN callctl.saved_value.superseded_at IS 'Time at which callctl found a newer write in its place; the value stays until purge and is never restored';

CREATE TABLE IF NOT EXISTS callctl.known_before (
  step integer PRIMARY KEY,
  known_at timestamp with time zone NOT NULL DEFAULT now()
);
COMMENT ON TABLE callctl.known_before IS
  'Steps before which everything was saved that they could overwrite: where nothing is saved of a row, there was nothing. Not so of a step that was done without callctl, or after callctl purge';
COMMENT ON COLUMN callctl.known_before.step IS 'The step; its row is deleted when the step is taken back';
COMMENT ON COLUMN callctl.known_before.known_at IS 'Time of saving';

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
