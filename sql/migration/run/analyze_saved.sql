-- What the planner must know of the saved values is how many they are: a tenth of the usual sample tells.
SET LOCAL default_statistics_target = 10;
ANALYZE callctl.saved_value;
