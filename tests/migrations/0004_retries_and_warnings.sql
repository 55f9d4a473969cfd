-- What a database holds after 0004 besides: a trigger whose run could not be made yet.

INSERT INTO run_retry
    (trigger_id, tries, next_at, problem)
VALUES
    ('trigger-1', 2, 1760000000000000, 'fetch repository');
