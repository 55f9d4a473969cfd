-- Triggers whose run could not be made yet: they are tried again, and say why.
CREATE TABLE run_retry (
    trigger_id TEXT NOT NULL PRIMARY KEY REFERENCES trigger (id),
    tries INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    problem TEXT NOT NULL
) STRICT;

-- What is wrong with a good run's files and does not hinder it, as `complaints`.
ALTER TABLE run ADD COLUMN warnings TEXT;
