-- What seed-models last wrote into some models.
SELECT model_id::text, contents FROM callctl.seeded_model WHERE model_id = ANY (%(ids)s::uuid[])
