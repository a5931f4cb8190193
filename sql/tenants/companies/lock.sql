-- Lock the companies that are to be written, in one order for everybody, until the transaction ends. %(ids)s
SELECT c.id::text FROM chatapp.companies AS c WHERE c.id = ANY (%(ids)s::uuid[]) ORDER BY c.id FOR NO KEY UPDATE;
