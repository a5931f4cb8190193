-- Which of callctl's own tables do not hold what was written to them, by part, with the rows recorded and those present.
SELECT relation, part, recorded, present, difference FROM callctl.changed_records()
