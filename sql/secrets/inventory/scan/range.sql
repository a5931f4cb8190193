-- The rows of these pages: from one to before another. PostgreSQL 14 and later read nothing else.
t.ctid >= {first}::tid AND t.ctid < {past}::tid
