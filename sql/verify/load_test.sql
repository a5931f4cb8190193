-- steps: 1
-- fast: yes
-- means: there are made-up calls among the platform's: a load test is running, or was killed before it removed its rows
-- fix: run callctl loadtest --clean when no load test is running; it removes only those rows

-- check: load-test-removed: no load test has left a company with its calls behind
SELECT company_id, started_at, client FROM callctl.load_test;
