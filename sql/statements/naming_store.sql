-- Whether callctl has written down definitions in this database.
SELECT to_regclass('callctl.definition') IS NOT NULL
