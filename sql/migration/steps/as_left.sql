-- Those of some models that callctl made inactive and that are stored as it left them.
SELECT w.model_id::text FROM callctl.withheld_model AS w
WHERE w.model_id = ANY (%(ids)s::uuid[]) AND callctl.is_as_left({table}::regclass, w.model_id)
