-- The models that wait in callctl's schema, into the table: to be written like any other, and put back behind that.
WITH waiting AS MATERIALIZED (
  SELECT r.row_id FROM callctl.saved_row AS r WHERE r.relation = 'ai_models' AND r.superseded_at IS NULL
)
SELECT array(SELECT row_id::text FROM waiting), callctl.bring_back_rows({table}::regclass, {key_name})
