-- The last word of a run about itself.
DELETE FROM callctl.run_state WHERE session = %(session)s
