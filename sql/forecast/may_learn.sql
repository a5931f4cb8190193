-- Whether this role may read what earlier runs were expected to take, if there are any.
SELECT CASE WHEN to_regclass('callctl.forecast') IS NULL OR to_regclass('callctl.history') IS NULL THEN false
            ELSE has_table_privilege('callctl.forecast', 'SELECT') AND has_table_privilege('callctl.history', 'SELECT') END
