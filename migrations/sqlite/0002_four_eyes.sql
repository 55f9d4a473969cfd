-- Four eyes: whom a token, a version of the settings and a commit can be matched to; from when on tags
-- may be in the registry; what hinders a signature. Dialect rules: ../README.md.

-- The actor who made it, as stored in columns `…_by`, and the person, if it was one. A token that
-- nobody can be matched to (made before this was kept, or by a user of the host) acts for nobody.
ALTER TABLE token ADD COLUMN made_by TEXT;
ALTER TABLE token ADD COLUMN made_by_id TEXT REFERENCES person (id);

-- The person who applied the version, if it was one.
ALTER TABLE project_settings ADD COLUMN applied_by_id TEXT REFERENCES person (id);
UPDATE project_settings SET applied_by_id =
    (SELECT p.id FROM person p WHERE 'person(' || p.name || ')' = project_settings.applied_by);

-- Everything else was read back, and tags are being written.
ALTER TABLE promotion ADD COLUMN tagging_at INTEGER;

-- What hinders it from being signed and published, for people; null when nothing was seen to.
ALTER TABLE attestation ADD COLUMN problem TEXT;
ALTER TABLE signature ADD COLUMN problem TEXT;

-- The commits that a release brings over what its environment holds: `base_id` is what it holds, empty
-- when that is nothing. Not complete: there are more than are read, or they are not in the repository.
CREATE TABLE contribution (
    project_id TEXT NOT NULL REFERENCES project (id),
    base_id TEXT NOT NULL,
    head_id TEXT NOT NULL,
    commits INTEGER NOT NULL,
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    read_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, base_id, head_id)
) STRICT;

-- Everybody who wrote or committed one of them, by address in lower case.
CREATE TABLE contributor (
    project_id TEXT NOT NULL,
    base_id TEXT NOT NULL,
    head_id TEXT NOT NULL,
    address TEXT NOT NULL,
    name TEXT NOT NULL,
    wrote INTEGER NOT NULL CHECK (wrote IN (0, 1)),
    committed INTEGER NOT NULL CHECK (committed IN (0, 1)),
    PRIMARY KEY (project_id, base_id, head_id, address),
    FOREIGN KEY (project_id, base_id, head_id) REFERENCES contribution (project_id, base_id, head_id)
) STRICT;
