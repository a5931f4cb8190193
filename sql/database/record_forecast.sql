-- Add what was expected of a step to its history row.
-- %(history_id)s, %(low)s, %(expected)s, %(high)s: seconds; %(rates)s
INSERT INTO callctl.forecast (history_id, low_seconds, expected_seconds, high_seconds, rates)
VALUES (%(history_id)s, %(low)s, %(expected)s, %(high)s, %(rates)s)
