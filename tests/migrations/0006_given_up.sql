-- What a database holds after 0006 besides: a promotion that somebody gave up.

INSERT INTO promotion
    (id, project_id, number, release_id, environment, settings_version, state, cause, requested_by,
     requester_id, requested_at, gate_decision_id, applying_at, tagging_at, ended_at, give_up_at,
     give_up_by, give_up_reason)
VALUES
    ('promotion-2', 'project-1', 2, 'release-1', 'prod', 1, 'failed', 'given up', 'requested-by',
     'person-1', 1760000000000000, 'gate_decision-1', 1760000000000000, 1760000000000000,
     1760000000000000, 1760000000000000, 'person(ada)', 'the tag is locked');
