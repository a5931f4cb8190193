-- steps: 12

-- A company made after step 12 may lack the flag, and is off; a flag that is there is true or false.
-- check: company-flag-boolean: features.callEnabled is true or false wherever it is set
SELECT id, settings #> '{features,callEnabled}' AS call_enabled FROM chatapp.companies
WHERE settings #> '{features,callEnabled}' IS NOT NULL
  AND jsonb_typeof(settings #> '{features,callEnabled}') <> 'boolean';
