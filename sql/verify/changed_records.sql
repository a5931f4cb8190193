-- means: migrate down cannot restore what was deleted from callctl's own tables, or restores what was written there by hand
-- fix: restore schema callctl from a backup taken before the change; or accept the loss with callctl migrate adopt
--        --changed-records: the deleted values are not restored

-- callctl.tally counts what callctl writes, and what clients write through its triggers and foreign keys.
-- check: records-unchanged: callctl's own tables hold what callctl wrote to them, and nothing else
SELECT r.relation, r.part, r.recorded, r.present, r.difference FROM callctl.changed_records() AS r
WHERE r.difference <> 'it is no table';  -- that is for store-tables to say
