-- The named companies, soft-deleted ones too, or if none is named, all that are not deleted: the value
-- at features.callEnabled, what keeps the flag from being written there, and how many call-enabled chatbots each has. A call
-- is taken where company and chatbot both say so (specification, L2285).
-- The slug is read from the row, so that a platform without such a column is served by id.
-- %(ids)s, %(slugs)s: NULL for all. %(without_flag)s: those alone in which nothing is at that place, soft-deleted ones too.
SELECT c.id::text, to_jsonb(c) ->> 'slug' AS slug, to_jsonb(c) ->> 'name' AS name, (c.deleted_at IS NOT NULL) AS deleted,
       CASE WHEN jsonb_typeof(c.settings #> '{features,callEnabled}') = 'boolean'
            THEN (c.settings #>> '{features,callEnabled}')::boolean END AS call_enabled,
       CASE WHEN jsonb_typeof(c.settings) <> 'object' THEN 'settings are not an object but ' || jsonb_typeof(c.settings)
            WHEN jsonb_typeof(c.settings -> 'features') NOT IN ('object', 'null')
            THEN 'settings.features is not an object but ' || jsonb_typeof(c.settings -> 'features')
            WHEN jsonb_typeof(c.settings #> '{features,callEnabled}') <> 'boolean'
            THEN 'settings.features.callEnabled is not true or false but ' || jsonb_typeof(c.settings #> '{features,callEnabled}')
       END AS problem,
       COALESCE(b.call_chatbots, 0) AS call_chatbots
FROM chatapp.companies AS c
LEFT JOIN (
  SELECT b.company_id, count(*) AS call_chatbots FROM chatapp.chatbots AS b
  WHERE b.enabled_call AND b.deletedAt IS NULL
  GROUP BY b.company_id
) AS b ON b.company_id = c.id
WHERE CASE
  WHEN %(without_flag)s THEN c.settings #> '{features,callEnabled}' IS NULL AND (%(ids)s::uuid[] IS NULL OR c.id = ANY (%(ids)s::uuid[]))
  WHEN %(ids)s::uuid[] IS NOT NULL THEN c.id = ANY (%(ids)s::uuid[]) OR to_jsonb(c) ->> 'slug' = ANY (%(slugs)s::text[])
  ELSE c.deleted_at IS NULL END
ORDER BY 2, 1;
