-- steps: 12
-- means: the application misreads the switch, or fails to read the company's settings
-- fix: UPDATE the company's settings to an object (or NULL), with "features" an object and "callEnabled" true or false

-- A company made after step 12 may have no flag, and is off; an existing flag is true or false.
-- check: company-flag-boolean: features.callEnabled is true or false wherever it is set
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled FROM chatapp.companies AS c
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') IS DISTINCT FROM 'boolean'
  AND c.settings #> '{features,callEnabled}' IS NOT NULL;

-- The application treats any other shape as off, and callctl companies cannot switch it on. If the flag is true or false,
-- the shape is right.
-- check: company-settings-shape: every company's settings are an object or NULL, and features in them is an object, null or absent
SELECT c.id, jsonb_typeof(c.settings) AS settings, jsonb_typeof(c.settings -> 'features') AS features FROM chatapp.companies AS c
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') IS DISTINCT FROM 'boolean'
  AND (jsonb_typeof(c.settings) <> 'object' OR jsonb_typeof(c.settings -> 'features') NOT IN ('object', 'null'));
