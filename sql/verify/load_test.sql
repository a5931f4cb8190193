-- steps: 1
-- fast: yes
-- means: made-up calls stand among the platform's: a load test is running, or was killed before it had removed its rows
-- mends: callctl loadtest --clean (when none is running), which removes them and nothing else

-- check: load-test-removed: no load test has left a company with its calls behind
SELECT company_id, started_at, client FROM callctl.load_test;
