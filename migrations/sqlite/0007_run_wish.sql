-- Who wants a run again, and how the attempts at making it went. Dialect rules: ../README.md.

-- A person's wish to run a run again. Consumed: the run that came of it names it.
CREATE TABLE run_wish (
    id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES run (id),
    wished_by TEXT NOT NULL,
    wished_by_id TEXT REFERENCES person (id),
    wished_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    problem TEXT,
    consumed_at INTEGER
) STRICT;
-- A run is wished for again once at a time.
CREATE UNIQUE INDEX run_wish_waiting ON run_wish (run_id) WHERE consumed_at IS NULL;

-- The wish that a further attempt came of; null for the first, and for those from before this was kept.
ALTER TABLE run ADD COLUMN wish_id TEXT REFERENCES run_wish (id);
