-- Whether a session of this role in this database, unlike this one, reads backslashes in literals as escapes; pg_dump's would.
SELECT reset_val = 'off' FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'
