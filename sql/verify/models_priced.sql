-- steps: 7
-- means: only a part of a call's cost is counted: one direction has a price, the other has none
-- fix: run callctl seed-models --overwrite, or UPDATE the model's missing price

-- check (warns): models-priced: a model for calls has both prices of a pair, or neither
SELECT m.model_name, p.pair, CASE WHEN p.input IS NULL THEN 'input' ELSE 'output' END AS missing
FROM chatapp.ai_models AS m
CROSS JOIN LATERAL (VALUES
  ('US dollars per token', m.input_cost_per_token, m.output_cost_per_token),
  ('US dollars per second of audio', m.audio_cost_per_second_input, m.audio_cost_per_second_output)
) AS p (pair, input, output)
WHERE m.model_type IN ('call', 'both') AND m.deletedAt IS NULL AND (p.input IS NULL) <> (p.output IS NULL);
