-- What a database holds after 0007 besides: a wish that came true, and one that has to wait.

INSERT INTO run_wish
    (id, run_id, wished_by, wished_by_id, wished_at, tries, next_at, problem, consumed_at)
VALUES
    ('run_wish-1', 'run-1', 'person(mara)', 'person-1', 1760000000000000, 0, 1760000000000000, NULL,
     1760000000000000),
    ('run_wish-2', 'run-1', 'host(0)', NULL, 1760000000000000, 2, 1760000000000000, 'fetch repository',
     NULL);
