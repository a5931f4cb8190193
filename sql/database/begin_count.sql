-- Begin the tally of each table that has none, and again of the tables in %(accepted)s, whose differences an operator accepts.
SELECT callctl.begin_count(%(accepted)s::text[])
