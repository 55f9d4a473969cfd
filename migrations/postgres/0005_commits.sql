-- The commits of a contribution for people to read, the newest first; it counts them all, and this keeps
-- the first few hundred. Contributions that were read before this was kept have none.
CREATE TABLE contribution_commit (
    project_id TEXT COLLATE "C" NOT NULL,
    base_id TEXT COLLATE "C" NOT NULL,
    head_id TEXT COLLATE "C" NOT NULL,
    place BIGINT NOT NULL,
    commit_id TEXT COLLATE "C" NOT NULL,
    title TEXT COLLATE "C" NOT NULL,
    author_name TEXT COLLATE "C" NOT NULL,
    author_address TEXT COLLATE "C" NOT NULL,
    committer_name TEXT COLLATE "C" NOT NULL,
    committer_address TEXT COLLATE "C" NOT NULL,
    commit_time BIGINT NOT NULL,
    PRIMARY KEY (project_id, base_id, head_id, place),
    FOREIGN KEY (project_id, base_id, head_id) REFERENCES contribution (project_id, base_id, head_id)
);
