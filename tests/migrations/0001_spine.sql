-- What a database holds after 0001, one row or more of every table, written before the next migration
-- and counted after it. One text for both databases: X'…' is read as bytes by either.

INSERT INTO instance
    (id, public_url, log_origin, created_at)
VALUES
    ('instance-1', 'https://pipeline.example', 'pipeline.example/log', 1760000000000000);
INSERT INTO key
    (id, role, public, from_at, until_at, revoked_at, reason)
VALUES
    ('key-1', 'provenance', X'7b7d', 1760000000000000, 1760000000000000, 1760000000000000, 'reason');
INSERT INTO person
    (id, name, display_name, created_at, disabled_at)
VALUES
    ('person-1', 'mara', 'display-name', 1760000000000000, 1760000000000000);
INSERT INTO login
    (id, person_id, kind, subject, secret_hash, changed_at)
VALUES
    ('login-1', 'person-1', 'password', 'subject', 'secret-hash', 1760000000000000);
INSERT INTO email
    (id, person_id, address, verified_at)
VALUES
    ('email-1', 'person-1', 'mara@shop.example', 1760000000000000);
INSERT INTO session
    (id, person_id, csrf, created_at, signed_in_at, seen_at, expires_at)
VALUES
    ('session-1', 'person-1', 'csrf', 1760000000000000, 1760000000000000, 1760000000000000,
     1760000000000000);
INSERT INTO token
    (id, person_id, name, secret_hash, created_at, expires_at, revoked_at)
VALUES
    ('token-1', 'person-1', 'name', 'secret-hash', 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO project
    (id, name, created_at, settings_version, run_number, promotion_number)
VALUES
    ('project-1', 'shop', 1760000000000000, 1, 1, 1);
INSERT INTO project_settings
    (project_id, version, document, digest, applied_at, applied_by)
VALUES
    ('project-1', 1, X'7b7d', 'sha256:00', 1760000000000000, 'applied-by');
INSERT INTO role_grant
    (id, person_id, role, project_id, granted_at, granted_by)
VALUES
    ('role_grant-1', 'person-1', 'release-manager', 'project-1', 1760000000000000, 'granted-by');
INSERT INTO hook
    (id, project_id, provider, pusher_id, created_at, disabled_at)
VALUES
    ('hook-1', 'project-1', 'github', 'person-1', 1760000000000000, 1760000000000000);
INSERT INTO hook_secret
    (id, hook_id, sealed, created_at, until_at, used_at)
VALUES
    ('hook_secret-1', 'hook-1', X'7b7d', 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO delivery
    (id, hook_id, project_id, provider, external_id, event, headers, body_digest, body_bytes, body,
     signature, secret_id, address, received_at, body_key, replays_id, audit_id, ref_name, commit_id,
     sender, consumed_at)
VALUES
    ('delivery-1', 'hook-1', 'project-1', 'github', 'external-1', 'push', '{}', 'sha256:00', 2, X'7b7d',
     'signature', 'secret-1', X'00000000000000000000ffff7f000001', 1760000000000000, 'body-key', NULL,
     'audit-1', 'ref-name', 'commit-1', 'sender', 1760000000000000);
INSERT INTO refusal
    (id, hook_id, project_id, reason, event, external_id, body_digest, body_bytes, address, received_at,
     requests, folded, audit_id)
VALUES
    ('refusal-1', 'hook-1', 'project-1', 'signature-wrong', 'event', 'external-1', 'sha256:00', 1,
     X'00000000000000000000ffff7f000001', 1760000000000000, 3, 1, 'audit-1');
INSERT INTO trigger
    (id, delivery_id, project_id, ref_name, commit_id, before_id, decision, reason, detail, trust,
     settings_version, decided_at, consumed_at)
VALUES
    ('trigger-1', 'delivery-1', 'project-1', 'ref-name', 'commit-1', 'before-1', 'start', 'push-matched',
     'detail', 'trusted', 1, 1760000000000000, 1760000000000000);
INSERT INTO trigger_retry
    (delivery_id, tries, next_at, problem)
VALUES
    ('delivery-1', 1, 1760000000000000, 'problem');
INSERT INTO run
    (id, project_id, number, trigger_id, attempt, again_of_id, ref_name, commit_id, commit_title,
     commit_time, author_name, author_email, committer_email, pusher_id, trust, settings_version,
     pipeline_path, pipeline_digest, plan, complaints, source_digest, source_bytes, state, cause,
     cause_detail, cancel_at, cancel_by, created_at, started_at, finished_at)
VALUES
    ('run-1', 'project-1', 1, 'trigger-1', 1, NULL, 'ref-name', 'commit-1', 'commit-title',
     1760000000000000, 'author-name', 'author-email', 'committer-email', 'person-1', 'trusted', 1,
     'pipeline-path', 'sha256:00', '{}', NULL, 'sha256:00', 1, 'finished', 'passed', 'cause-detail',
     1760000000000000, 'cancel-by', 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO worker
    (id, name, public, certificate_digest, version, level, isolation, slots, enrolled_at, seen_at,
     drained_at, revoked_at)
VALUES
    ('worker-1', 'yard', X'7b7d', 'sha256:00', 'version', 'level', 'isolation', 1, 1760000000000000,
     1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO enrolment_token
    (id, secret_hash, created_at, created_by, expires_at, used_at, worker_id)
VALUES
    ('enrolment_token-1', 'secret-hash', 1760000000000000, 'created-by', 1760000000000000,
     1760000000000000, 'worker-1');
INSERT INTO step
    (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max, state, cause,
     cause_detail, fence, attempts, not_before_at, worker_id, lease_ends_at, deadline_at, phase,
     ready_at, leased_at, started_at, first_output_at, reported_at, finished_at)
VALUES
    ('step-1', 'run-1', 'project-1', 'web', 'build', 1, '{}', 1, 1, 'finished', 'passed', 'cause-detail',
     1, 1, 1760000000000000, 'worker-1', NULL, 1760000000000000, 'phase', 1760000000000000,
     1760000000000000, 1760000000000000, 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO step
    (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max, state, cause,
     cause_detail, fence, attempts, not_before_at, worker_id, lease_ends_at, deadline_at, phase,
     ready_at, leased_at, started_at, first_output_at, reported_at, finished_at)
VALUES
    ('step-2', 'run-1', 'project-1', 'unit', 'run', 1, '{}', 1, 1, 'finished', 'passed', 'cause-detail',
     1, 1, 1760000000000000, 'worker-1', NULL, 1760000000000000, 'phase', 1760000000000000,
     1760000000000000, 1760000000000000, 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO step_need
    (step_id, needs_id)
VALUES
    ('step-1', 'step-2');
INSERT INTO lease
    (step_id, fence, worker_id, leased_at, ended_at, cause, cause_detail)
VALUES
    ('step-1', 1, 'worker-1', 1760000000000000, 1760000000000000, 'passed', 'cause-detail');
INSERT INTO log_chunk
    (step_id, fence, sequence, at_offset, bytes, sha256, received_at)
VALUES
    ('step-1', 1, 1, 1, 1, 'sha256:00', 1760000000000000);
INSERT INTO artifact
    (id, step_id, fence, sequence, name, digest, bytes, stored_at)
VALUES
    ('artifact-1', 'step-1', 1, 1, 'sbom.json', 'sha256:00', 1, 1760000000000000);
INSERT INTO report
    (step_id, fence, envelope, payload, received_at)
VALUES
    ('step-1', 1, X'7b7d', 'payload', 1760000000000000);
INSERT INTO image
    (id, project_id, run_id, step_id, fence, name, repository, digest, media_type, manifest, image_bytes,
     platforms, bases, observed_at)
VALUES
    ('image-1', 'project-1', 'run-1', 'step-1', 1, 'web', 'repository', 'sha256:00', 'media-type',
     X'7b7d', 1, 'platforms', 'bases', 1760000000000000);
INSERT INTO image_refusal
    (step_id, fence, reason, detail, refused_at)
VALUES
    ('step-1', 1, 'reason', 'detail', 1760000000000000);
INSERT INTO release
    (id, project_id, run_id, digest, made_at)
VALUES
    ('release-1', 'project-1', 'run-1', 'sha256:00', 1760000000000000);
INSERT INTO release_image
    (release_id, name, image_id, digest)
VALUES
    ('release-1', 'web', 'image-1', 'sha256:00');
INSERT INTO finding_report
    (id, step_id, fence, artifact_id, tool, format, outcome, detail, tests_passed, tests_failed,
     tests_errored, tests_skipped, tests, read_at)
VALUES
    ('finding_report-1', 'step-1', 1, 'artifact-1', 'tool', 'sarif', 'read', 'detail', 1, 1, 1, 1,
     'tests', 1760000000000000);
INSERT INTO verdict
    (step_id, fence, outcome, detail, given_at)
VALUES
    ('step-1', 1, 'passed', 'detail', 1760000000000000);
INSERT INTO finding
    (id, project_id, run_id, step_id, fence, image_id, tool, rule, severity, title, message, path, line,
     purl, package, package_version, fixed_in, aliases, fingerprint, suppressed, found_at, gone_at)
VALUES
    ('finding-1', 'project-1', 'run-1', 'step-1', 1, 'image-1', 'tool', 'rule', 'high', 'title',
     'message', 'path', 1, 'purl', 'package', 'package-version', 'fixed-in', '[]', 'fingerprint', 0,
     1760000000000000, 1760000000000000);
INSERT INTO package
    (image_id, purl, ecosystem, name, version, licences)
VALUES
    ('image-1', 'purl', 'ecosystem', 'name', 'version', 'licences');
INSERT INTO sbom
    (image_id, step_id, digest, packages, stored_at, judged_at, advisories)
VALUES
    ('image-1', 'step-1', 'sha256:00', 1, 1760000000000000, 1760000000000000, 'advisories');
INSERT INTO advisory_source
    (ecosystem, digest, records, content_at, confirmed_at)
VALUES
    ('ecosystem', 'sha256:00', 1, 1760000000000000, 1760000000000000);
INSERT INTO advisory
    (id, ecosystem, modified_at, withdrawn_at, document)
VALUES
    ('advisory-1', 'ecosystem', 1760000000000000, 1760000000000000, 'document');
INSERT INTO advisory_package
    (ecosystem, name, advisory_id)
VALUES
    ('ecosystem', 'name', 'advisory-1');
INSERT INTO attestation
    (id, project_id, run_id, image_id, kind, predicate_type, state, statement, envelope, key_id,
     manifest_digest, intended_at, signed_at, published_at)
VALUES
    ('attestation-1', 'project-1', 'run-1', 'image-1', 'provenance', 'predicate-type', 'published',
     X'7b7d', X'7b7d', 'key-1', 'sha256:00', 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO signature
    (id, image_id, repository, promotion_id, state, payload, signature, key_id, manifest_digest,
     intended_at, signed_at, published_at)
VALUES
    ('signature-1', 'image-1', 'repository', 'promotion-1', 'published', X'7b7d', X'7b7d', 'key-1',
     'sha256:00', 1760000000000000, 1760000000000000, 1760000000000000);
INSERT INTO gate_decision
    (id, project_id, promotion_id, release_id, environment, settings_version, outcome, conditions,
     evidence_digest, decision, decided_at)
VALUES
    ('gate_decision-1', 'project-1', 'promotion-1', 'release-1', 'prod', 1, 'open', '[]', 'sha256:00',
     '{}', 1760000000000000);
INSERT INTO approval
    (id, subject_kind, subject_id, person_id, role, decision, reason, statement, statement_digest,
     given_at, expires_at, used_at, void_at, void_reason)
VALUES
    ('approval-1', 'promotion', 'promotion-1', 'person-1', 'release-manager', 'approve', 'reason',
     X'7b7d', 'sha256:00', 1760000000000000, 1760000000000000, 1760000000000000, NULL, NULL);
INSERT INTO promotion
    (id, project_id, number, release_id, environment, settings_version, state, cause, requested_by,
     requester_id, requested_at, gate_decision_id, applying_at, applied_at, ended_at, progress)
VALUES
    ('promotion-1', 'project-1', 1, 'release-1', 'prod', 1, 'applied', NULL, 'requested-by', 'person-1',
     1760000000000000, 'gate_decision-1', 1760000000000000, 1760000000000000, 1760000000000000,
     'progress');
INSERT INTO environment_release
    (project_id, environment, release_id, promotion_id, since_at)
VALUES
    ('project-1', 'prod', 'release-1', 'promotion-1', 1760000000000000);
INSERT INTO audit_entry
    (id, entry, at, type, subject, project_id, actor, sequence)
VALUES
    ('audit_entry-1', X'7b7d', 1760000000000000, 'promotion.applied', 'promotion:promotion-1',
     'project-1', 'system', NULL);
INSERT INTO commitment
    (audit_id, field, salt, value)
VALUES
    ('audit_entry-1', 'field', X'7b7d', 'value');
