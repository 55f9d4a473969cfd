-- What a database holds after 0002 besides: a token that somebody made, and a contribution with two
-- contributors.

INSERT INTO token
    (id, person_id, name, secret_hash, created_at, expires_at, revoked_at, made_by, made_by_id)
VALUES
    ('token-2', 'person-1', 'made', 'another-hash', 1760000000000000, 1760000000000000, NULL,
     'person(mara)', 'person-1');
INSERT INTO contribution
    (project_id, base_id, head_id, commits, complete, read_at)
VALUES
    ('project-1', '', 'head', 2, 1, 1760000000000000);
INSERT INTO contributor
    (project_id, base_id, head_id, address, name, wrote, committed)
VALUES
    ('project-1', '', 'head', 'mara@shop.example', 'Mara', 1, 0),
    ('project-1', '', 'head', 'ines@shop.example', 'Ines', 1, 1);
