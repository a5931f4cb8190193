-- Step 4: what is true once it is done. Catalog only: a validated CHECK has read every row.

-- check: capability-checks: both tables have their validated capability CHECK
SELECT wanted.name, pg_get_constraintdef(k.oid) AS definition, k.convalidated
FROM (VALUES
  ('chatapp.chatbot_packages'::regclass, 'chatbot_packages_capability_check', 'CHECK (((enable_chat = true) OR (enable_call = true)))'),
  ('chatapp.chatbots'::regclass, 'chatbots_capability_check', 'CHECK (((enabled_chat = true) OR (enabled_call = true)))')
) AS wanted (relation, name, definition)
LEFT JOIN pg_constraint AS k ON k.conrelid = wanted.relation AND k.conname = wanted.name AND k.contype = 'c'
WHERE NOT COALESCE(k.convalidated, false) OR pg_get_constraintdef(k.oid) IS DISTINCT FROM wanted.definition;

-- check: capability-indexes: the three capability indexes are there, valid, on live rows only
SELECT wanted.name, pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid
FROM (VALUES
  ('chatapp.chatbot_packages'::regclass, 'deletedat'::name, 'idx_chatbot_packages_capabilities', 'enable_chat, enable_call'),
  ('chatapp.chatbots'::regclass, 'deletedat'::name, 'idx_chatbots_capabilities', 'enabled_chat, enabled_call'),
  ('chatapp.chatbots'::regclass, 'deletedat'::name, 'idx_chatbots_company_capabilities', 'company_id, enabled_chat, enabled_call')
) AS wanted (relation, soft_delete, name, columns)
JOIN pg_class AS r ON r.oid = wanted.relation
JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_class AS c ON c.relname = wanted.name AND c.relnamespace = n.oid
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid AND i.indrelid = r.oid
WHERE NOT COALESCE(i.indisvalid AND i.indisready, false)
   OR pg_get_indexdef(i.indexrelid) IS DISTINCT FROM
      format('CREATE INDEX %I ON %I.%I USING btree (%s)', wanted.name, n.nspname, r.relname, wanted.columns)
      || COALESCE(' WHERE (' || quote_ident(wanted.soft_delete) || ' IS NULL)', '');
