-- The commits of a contribution for people to read, the newest first; it counts them all, and this keeps
-- the first few hundred. Contributions that were read before this was kept have none.
CREATE TABLE contribution_commit (
    project_id TEXT NOT NULL,
    base_id TEXT NOT NULL,
    head_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    title TEXT NOT NULL,
    author_name TEXT NOT NULL,
    author_address TEXT NOT NULL,
    committer_name TEXT NOT NULL,
    committer_address TEXT NOT NULL,
    commit_time INTEGER NOT NULL,
    PRIMARY KEY (project_id, base_id, head_id, place),
    FOREIGN KEY (project_id, base_id, head_id) REFERENCES contribution (project_id, base_id, head_id)
) STRICT;
