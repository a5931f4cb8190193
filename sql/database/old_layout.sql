-- A row where the saved values are kept as a development version before 0.1 kept them: by the row's id alone.
SELECT FROM pg_attribute
WHERE attrelid = to_regclass('callctl.saved_value') AND attname = 'row_id' AND attgenerated = ''
