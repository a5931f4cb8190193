-- steps: 12
-- means: the application takes the switch for something it is not, or fails to read the company's settings
-- mends: UPDATE the company's settings: features.callEnabled is true or false

-- A company made after step 12 may lack the flag, and is off; a flag that is there is true or false.
-- check: company-flag-boolean: features.callEnabled is true or false wherever it is set
SELECT c.id, c.settings #> '{features,callEnabled}' AS call_enabled FROM chatapp.companies AS c
WHERE jsonb_typeof(c.settings #> '{features,callEnabled}') <> 'boolean';
