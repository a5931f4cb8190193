-- parameters: none

-- Companies that are called like a load test's and are not on record: they may be anybody's.
SELECT c.id::text FROM chatapp.companies AS c WHERE c.slug = 'callctl-loadtest-' || c.id ORDER BY c.id
