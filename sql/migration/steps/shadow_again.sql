-- Make the run down of a step begin again at its first statement: its checkpoint stays, unfinished, and says that the step has
-- begun; the others are deleted. %(step)s
WITH later AS (
  DELETE FROM callctl.checkpoint WHERE step = %(step)s AND direction = 'down' AND statement > 1
)
UPDATE callctl.checkpoint SET finished = false WHERE step = %(step)s AND direction = 'down' AND statement <= 1
