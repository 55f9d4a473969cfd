-- What a database holds after 0009 besides: a worker that was granted another level, and its token.

INSERT INTO worker
    (id, name, public, certificate_digest, enrolled_at, granted_level)
VALUES
    ('worker-2', 'shed', X'7b7d', 'sha256:02', 1760000000000000, 'docker-runc');
INSERT INTO enrolment_token
    (id, secret_hash, created_at, created_by, expires_at, used_at, worker_id, level)
VALUES
    ('enrolment_token-2', 'secret-hash', 1760000000000000, 'created-by', 1760000000000000,
     1760000000000000, 'worker-2', 'docker-runc');
