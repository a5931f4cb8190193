-- The batched statement is finished: nothing of it is under way.
DELETE FROM callctl.work_done
