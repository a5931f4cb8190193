-- What was written into a model: new fields beside those that were written before.
INSERT INTO callctl.seeded_model AS s (model_id, contents) VALUES (%(id)s::uuid, %(contents)s::jsonb)
ON CONFLICT (model_id) DO UPDATE SET contents = s.contents || EXCLUDED.contents, seeded_at = now()
