-- steps: 1
-- fast: yes
-- means: the application may find rows or objects in a state between two steps
-- fix: run callctl migrate status: it names the command that finishes the step, and the one that takes it back

-- check: nothing-half-done: no step has stopped part-way
SELECT DISTINCT step, direction FROM callctl.checkpoint;
