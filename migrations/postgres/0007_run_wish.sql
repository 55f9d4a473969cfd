-- Who wants a run again, and how the attempts at making it went. Dialect rules: ../README.md.

-- A person's wish to run a run again. Consumed: the run that came of it names it.
CREATE TABLE run_wish (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL REFERENCES run (id),
    wished_by TEXT COLLATE "C" NOT NULL,
    wished_by_id TEXT COLLATE "C" REFERENCES person (id),
    wished_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    problem TEXT COLLATE "C",
    consumed_at BIGINT
);
-- A run is wished for again once at a time.
CREATE UNIQUE INDEX run_wish_waiting ON run_wish (run_id) WHERE consumed_at IS NULL;

-- The wish that a further attempt came of; null for the first, and for those from before this was kept.
ALTER TABLE run ADD COLUMN wish_id TEXT COLLATE "C" REFERENCES run_wish (id);
