-- Which functions return another value for each row: a new column with such a default is written into every row.
SELECT DISTINCT p.proname AS name FROM pg_proc AS p WHERE p.provolatile = 'v' AND p.proname = ANY (%(names)s::name[])
