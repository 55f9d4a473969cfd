-- What was started for a ref, newest first: an old delivery that comes again starts nothing.
CREATE INDEX trigger_started ON trigger (project_id, ref_name, decided_at, commit_id) WHERE decision = 'start';
