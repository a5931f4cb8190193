-- What a run says of itself now.
UPDATE callctl.run_state
SET steps = %(steps)s::jsonb, step = %(step)s, step_began_at = clock_timestamp() - make_interval(secs => %(step_seconds)s),
    brake = %(brake)s::jsonb, obeyed = %(obeyed)s, share = %(share)s, told_at = clock_timestamp()
WHERE session = %(session)s
