-- The newest row of the audit trail; 0 if there is none.
SELECT coalesce(max(id), 0) FROM callctl.action
