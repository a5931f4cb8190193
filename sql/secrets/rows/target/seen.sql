-- Whether this role may read a table, and every row of it: with row_security = off the server refuses otherwise. Reads no row.
SELECT {columns} FROM {relation} AS t LIMIT 0
