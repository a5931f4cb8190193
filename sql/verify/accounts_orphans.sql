-- steps: 9
-- means: an account with its secrets belongs to no company: no administrator sees it, and it is not deleted with its customer
-- fix: restore the missing company from a backup; or run the statement in the row, which does what deleting the company would have done

-- check: accounts-orphans: the company of every integration account exists
SELECT a.id AS account, a.company_id, format('DELETE FROM %s WHERE id = %L;', a.tableoid::regclass, a.id) AS statement
FROM chatapp.integration_accounts AS a
LEFT JOIN chatapp.companies AS o ON o.id = a.company_id
WHERE a.company_id IS NOT NULL AND o.id IS NULL;
