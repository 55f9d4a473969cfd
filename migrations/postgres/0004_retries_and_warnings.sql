-- Triggers whose run could not be made yet: they are tried again, and say why.
CREATE TABLE run_retry (
    trigger_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES trigger (id),
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    problem TEXT COLLATE "C" NOT NULL
);

-- What is wrong with a good run's files and does not hinder it, as `complaints`.
ALTER TABLE run ADD COLUMN warnings TEXT COLLATE "C";
