-- Whether callctl made this database to play with. Asked of the catalog: SET could say anything.
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_db_role_setting AS s
  JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
  WHERE d.datname = current_database()
    AND s.setrole = 0
    AND 'callctl.environment=sandbox' = ANY (s.setconfig)
)
