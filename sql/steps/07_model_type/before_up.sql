-- Step 7, before: which columns the step is about to add, as opposed to those it finds. Down removes these and no others.

SELECT callctl.remember_missing_columns(7, 'chatapp.ai_models'::regclass,
  'display_name'::name, 'description'::name, 'supports_audio'::name,
  'input_cost_per_token'::name, 'output_cost_per_token'::name,
  'audio_cost_per_second_input'::name, 'audio_cost_per_second_output'::name,
  'context_window'::name, 'max_output_tokens'::name);

-- model_type is the migration's own: preflight refuses a table that has it before.
-- callctl: repeatable
INSERT INTO callctl.made (step, kind, relation, name) VALUES (7, 'column', 'ai_models', 'model_type')
ON CONFLICT (kind, relation, name) DO NOTHING;
