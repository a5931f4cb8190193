-- steps: 10
-- means: averages of quality and mood are wrong
-- fix: no command of callctl: UPDATE the rating; verify also reports the CHECK that should have refused it

-- check: calls-rated: ratings of calls are 1 to 5, and sentiments -100 to 100
SELECT c.id AS call, c.call_quality, c.sentiment_score
FROM chatapp.calls AS c
WHERE c.call_quality NOT BETWEEN 1 AND 5 OR c.sentiment_score NOT BETWEEN -100 AND 100;
