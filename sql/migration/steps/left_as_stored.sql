-- callctl itself wrote these models: what is stored now is what it left.
UPDATE callctl.withheld_model AS w SET contents = callctl.row_as_stored({table}::regclass, w.model_id), withheld_at = now()
WHERE w.model_id = ANY (%(ids)s::uuid[])
