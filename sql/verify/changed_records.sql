-- means: migrate down cannot put back what is gone from callctl's own tables, or puts back what another hand wrote there
-- mends: restore schema callctl from a backup taken before the change; or accept the loss with callctl migrate adopt
--        --changed-records: what is gone then stays gone

-- callctl.tally counts what callctl writes, and what clients write through its triggers and foreign keys.
-- check: records-unchanged: callctl's own tables hold what was written to them, and nothing else
SELECT r.relation, r.part, r.recorded, r.present, r.difference FROM callctl.changed_records() AS r
WHERE r.difference <> 'it is no table';  -- that is for store-tables to say
