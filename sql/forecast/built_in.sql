-- Which of these functions are PostgreSQL's own: they lock no table that their statement does not name.
SELECT DISTINCT p.proname AS name FROM pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (%(names)s::name[])
