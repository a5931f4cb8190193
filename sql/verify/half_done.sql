-- steps: 1
-- fast: yes
-- means: the application may meet rows or objects in a state between two steps
-- mends: run the command that stopped again (callctl migrate status names it)

-- check: nothing-half-done: no step has stopped half way
SELECT DISTINCT step, direction FROM callctl.checkpoint;
