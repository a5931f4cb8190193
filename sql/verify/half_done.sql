-- steps: 1
-- fast: yes
-- means: the application may meet rows or objects in a state between two steps
-- mends: callctl migrate status names the command that finishes the step, and the one that takes it back

-- check: nothing-half-done: no step has stopped half way
SELECT DISTINCT step, direction FROM callctl.checkpoint;
