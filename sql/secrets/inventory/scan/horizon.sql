-- The oldest transaction that is not finished: a row that an older one wrote is visible now, or never will be. As a row's xmin has it.
SELECT (txid_snapshot_xmin(txid_current_snapshot()) % 4294967296)::text
