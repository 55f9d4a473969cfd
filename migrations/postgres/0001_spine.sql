-- The spine: from a delivery to a promotion. Dialect rules: ../README.md.

-- The instance and its keys ------------------------------------------------------------------

CREATE TABLE instance (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_url TEXT COLLATE "C" NOT NULL,
    log_origin TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);

-- Public halves only; private ones lie in data_dir/keys or with the signer.
CREATE TABLE key (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('provenance', 'release', 'log', 'envelope', 'registry', 'ca')),
    public BYTEA NOT NULL,
    from_at BIGINT NOT NULL,
    until_at BIGINT,
    revoked_at BIGINT,
    reason TEXT COLLATE "C"
);

-- identity -----------------------------------------------------------------------------------

CREATE TABLE person (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    display_name TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE login (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('password')),
    subject TEXT COLLATE "C" NOT NULL,
    secret_hash TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (kind, subject)
);

CREATE TABLE email (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    address TEXT COLLATE "C" NOT NULL UNIQUE,
    verified_at BIGINT
);

-- The id is the SHA-256 of the cookie's token: the table opens no session.
CREATE TABLE session (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    csrf TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_person ON session (person_id);

CREATE TABLE token (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    name TEXT COLLATE "C" NOT NULL,
    secret_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- project ------------------------------------------------------------------------------------

-- `run_number` and `promotion_number` are the last ones given out.
CREATE TABLE project (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    settings_version BIGINT NOT NULL,
    run_number BIGINT NOT NULL,
    promotion_number BIGINT NOT NULL
);

CREATE TABLE project_settings (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    version BIGINT NOT NULL,
    document BYTEA NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    applied_at BIGINT NOT NULL,
    applied_by TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, version)
);

-- A null project is all projects.
CREATE TABLE role_grant (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'developer', 'release-manager', 'auditor', 'admin')),
    project_id TEXT COLLATE "C" REFERENCES project (id),
    granted_at BIGINT NOT NULL,
    granted_by TEXT COLLATE "C" NOT NULL
);
CREATE INDEX role_grant_person ON role_grant (person_id);

CREATE TABLE hook (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    provider TEXT COLLATE "C" NOT NULL CHECK (provider IN ('github', 'git')),
    pusher_id TEXT COLLATE "C" REFERENCES person (id),
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE hook_secret (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hook_id TEXT COLLATE "C" NOT NULL REFERENCES hook (id),
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    until_at BIGINT,
    used_at BIGINT
);
CREATE INDEX hook_secret_hook ON hook_secret (hook_id);

-- delivery -----------------------------------------------------------------------------------

-- Only accepted deliveries. `ref_name`, `commit_id`, `sender` are the projection that lists show;
-- they are null until the body was understood.
CREATE TABLE delivery (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hook_id TEXT COLLATE "C" NOT NULL REFERENCES hook (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    provider TEXT COLLATE "C" NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    headers TEXT COLLATE "C" NOT NULL,
    body_digest TEXT COLLATE "C" NOT NULL,
    body_bytes BIGINT NOT NULL,
    body BYTEA,
    signature TEXT COLLATE "C" NOT NULL,
    secret_id TEXT COLLATE "C" NOT NULL,
    address BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    -- the body's digest where the sender's id is not signed: the first delivery of a body holds it for
    -- the replay window
    body_key TEXT COLLATE "C",
    -- the earlier delivery whose body this one repeats: it starts nothing
    replays_id TEXT COLLATE "C" REFERENCES delivery (id),
    audit_id TEXT COLLATE "C" NOT NULL,
    ref_name TEXT COLLATE "C",
    commit_id TEXT COLLATE "C",
    sender TEXT COLLATE "C",
    consumed_at BIGINT,
    UNIQUE (hook_id, external_id),
    UNIQUE (hook_id, body_key)
);
CREATE INDEX delivery_list ON delivery (received_at, id);
CREATE INDEX delivery_waiting ON delivery (received_at) WHERE consumed_at IS NULL;

-- Refused requests, without their body. A folded row counts many of one kind in one minute.
CREATE TABLE refusal (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    hook_id TEXT COLLATE "C",
    project_id TEXT COLLATE "C",
    reason TEXT COLLATE "C" NOT NULL,
    event TEXT COLLATE "C",
    external_id TEXT COLLATE "C",
    body_digest TEXT COLLATE "C",
    body_bytes BIGINT,
    address BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    requests BIGINT NOT NULL CHECK (requests > 0),
    folded BIGINT NOT NULL CHECK (folded IN (0, 1)),
    audit_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX refusal_list ON refusal (received_at, id);

-- trigger ------------------------------------------------------------------------------------

CREATE TABLE trigger (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    delivery_id TEXT COLLATE "C" NOT NULL REFERENCES delivery (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    ref_name TEXT COLLATE "C" NOT NULL,
    commit_id TEXT COLLATE "C",
    before_id TEXT COLLATE "C",
    decision TEXT COLLATE "C" NOT NULL CHECK (decision IN ('start', 'skip', 'hold')),
    reason TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    trust TEXT COLLATE "C" NOT NULL CHECK (trust IN ('trusted', 'untrusted')),
    settings_version BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    consumed_at BIGINT,
    UNIQUE (delivery_id, ref_name),
    CHECK (decision <> 'start' OR commit_id IS NOT NULL)
);
CREATE INDEX trigger_delivery ON trigger (delivery_id);
CREATE INDEX trigger_waiting ON trigger (decided_at) WHERE decision = 'start' AND consumed_at IS NULL;

-- Deliveries whose repository could not be read yet: they are tried again, and their page says why.
CREATE TABLE trigger_retry (
    delivery_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES delivery (id),
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    problem TEXT COLLATE "C" NOT NULL
);

-- run ----------------------------------------------------------------------------------------

-- `plan` is the frozen pipeline as JSON; `complaints` what made the run invalid.
CREATE TABLE run (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    number BIGINT NOT NULL,
    trigger_id TEXT COLLATE "C" NOT NULL REFERENCES trigger (id),
    attempt BIGINT NOT NULL,
    again_of_id TEXT COLLATE "C" REFERENCES run (id),
    ref_name TEXT COLLATE "C" NOT NULL,
    commit_id TEXT COLLATE "C" NOT NULL,
    commit_title TEXT COLLATE "C" NOT NULL,
    commit_time BIGINT NOT NULL,
    author_name TEXT COLLATE "C" NOT NULL,
    author_email TEXT COLLATE "C" NOT NULL,
    committer_email TEXT COLLATE "C" NOT NULL,
    pusher_id TEXT COLLATE "C" REFERENCES person (id),
    trust TEXT COLLATE "C" NOT NULL CHECK (trust IN ('trusted', 'untrusted')),
    settings_version BIGINT NOT NULL,
    pipeline_path TEXT COLLATE "C" NOT NULL,
    pipeline_digest TEXT COLLATE "C",
    plan TEXT COLLATE "C",
    complaints TEXT COLLATE "C",
    source_digest TEXT COLLATE "C",
    source_bytes BIGINT,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'running', 'finished', 'invalid', 'refused')),
    cause TEXT COLLATE "C",
    cause_detail TEXT COLLATE "C",
    cancel_at BIGINT,
    cancel_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    UNIQUE (project_id, number),
    UNIQUE (trigger_id, attempt),
    CHECK (state NOT IN ('finished', 'invalid', 'refused') OR finished_at IS NOT NULL),
    CHECK ((state IN ('finished', 'refused')) = (cause IS NOT NULL)),
    CHECK ((state = 'invalid') = (complaints IS NOT NULL)),
    CHECK (state NOT IN ('waiting', 'running', 'finished') OR plan IS NOT NULL)
);
CREATE INDEX run_list ON run (project_id, created_at, id);
CREATE INDEX run_open ON run (created_at) WHERE state IN ('waiting', 'running');

-- fleet --------------------------------------------------------------------------------------

CREATE TABLE worker (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    public BYTEA NOT NULL,
    certificate_digest TEXT COLLATE "C" NOT NULL UNIQUE,
    version TEXT COLLATE "C",
    level TEXT COLLATE "C",
    isolation TEXT COLLATE "C",
    slots BIGINT,
    enrolled_at BIGINT NOT NULL,
    seen_at BIGINT,
    drained_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE enrolment_token (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    secret_hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    worker_id TEXT COLLATE "C" REFERENCES worker (id),
    CHECK ((used_at IS NULL) = (worker_id IS NULL))
);

-- step ---------------------------------------------------------------------------------------

-- `work` is the part of the plan that is this step's, as JSON. `fence` counts the claims.
CREATE TABLE step (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    run_id TEXT COLLATE "C" NOT NULL REFERENCES run (id),
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('build', 'analyze', 'scan', 'test', 'run')),
    ordinal BIGINT NOT NULL,
    work TEXT COLLATE "C" NOT NULL,
    timeout_ms BIGINT NOT NULL,
    -- how many steps of the project may be under lease at once, as the settings said at the plan
    parallel_max BIGINT NOT NULL DEFAULT 1,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('blocked', 'ready', 'leased', 'reported', 'finished', 'skipped')),
    cause TEXT COLLATE "C",
    cause_detail TEXT COLLATE "C",
    fence BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before_at BIGINT NOT NULL,
    worker_id TEXT COLLATE "C" REFERENCES worker (id),
    lease_ends_at BIGINT,
    deadline_at BIGINT,
    phase TEXT COLLATE "C",
    ready_at BIGINT,
    leased_at BIGINT,
    started_at BIGINT,
    first_output_at BIGINT,
    reported_at BIGINT,
    finished_at BIGINT,
    UNIQUE (run_id, name),
    CHECK ((state = 'leased') = (lease_ends_at IS NOT NULL)),
    CHECK (state <> 'leased' OR worker_id IS NOT NULL),
    CHECK ((state IN ('finished', 'skipped')) = (cause IS NOT NULL)),
    CHECK ((state IN ('finished', 'skipped')) = (finished_at IS NOT NULL))
);
CREATE INDEX step_ready ON step (not_before_at) WHERE state = 'ready';
CREATE INDEX step_open ON step (state, lease_ends_at) WHERE state IN ('leased', 'reported');

CREATE TABLE step_need (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    needs_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    PRIMARY KEY (step_id, needs_id)
);

-- Every lease that a step had; the current one is also in `step`.
CREATE TABLE lease (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    worker_id TEXT COLLATE "C" NOT NULL REFERENCES worker (id),
    leased_at BIGINT NOT NULL,
    ended_at BIGINT,
    cause TEXT COLLATE "C",
    cause_detail TEXT COLLATE "C",
    PRIMARY KEY (step_id, fence),
    CHECK ((ended_at IS NULL) = (cause IS NULL))
);

-- `sha256` is the running hash of the log up to the end of this chunk.
CREATE TABLE log_chunk (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    at_offset BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (step_id, fence, sequence)
);

CREATE TABLE artifact (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    UNIQUE (step_id, fence, sequence),
    UNIQUE (step_id, fence, name)
);

-- The worker's signed report, verbatim, and its payload, verified.
CREATE TABLE report (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    envelope BYTEA NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (step_id, fence)
);

-- image --------------------------------------------------------------------------------------

-- What the orchestrator itself read from the registry and hashed.
CREATE TABLE image (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    run_id TEXT COLLATE "C" NOT NULL REFERENCES run (id),
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    repository TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    media_type TEXT COLLATE "C" NOT NULL,
    manifest BYTEA NOT NULL,
    image_bytes BIGINT NOT NULL,
    platforms TEXT COLLATE "C" NOT NULL,
    bases TEXT COLLATE "C" NOT NULL,
    observed_at BIGINT NOT NULL,
    UNIQUE (step_id, fence, name)
);
CREATE INDEX image_digest ON image (digest);
CREATE INDEX image_run ON image (run_id);

-- A claim of a worker that did not hold: another digest, another repository, no such manifest.
CREATE TABLE image_refusal (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    refused_at BIGINT NOT NULL,
    PRIMARY KEY (step_id, fence)
);

-- The whole set of images of one successful run. `digest` is the SHA-256 of the lines
-- `<name> <digest>\n` in the order of the names.
CREATE TABLE release (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    run_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES run (id),
    digest TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL
);

CREATE TABLE release_image (
    release_id TEXT COLLATE "C" NOT NULL REFERENCES release (id),
    name TEXT COLLATE "C" NOT NULL,
    image_id TEXT COLLATE "C" NOT NULL REFERENCES image (id),
    digest TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (release_id, name)
);

-- finding ------------------------------------------------------------------------------------

-- One stored report that was read, well or not.
CREATE TABLE finding_report (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    artifact_id TEXT COLLATE "C" REFERENCES artifact (id),
    tool TEXT COLLATE "C" NOT NULL,
    format TEXT COLLATE "C" NOT NULL CHECK (format IN ('sarif', 'junit', 'cyclonedx', 'osv')),
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('read', 'unreadable', 'missing', 'did-not-run')),
    detail TEXT COLLATE "C" NOT NULL,
    tests_passed BIGINT,
    tests_failed BIGINT,
    tests_errored BIGINT,
    tests_skipped BIGINT,
    tests TEXT COLLATE "C",
    read_at BIGINT NOT NULL,
    UNIQUE (step_id, fence, format, tool)
);

-- What a step's reports say about it: the answer to step::Verdicts.
CREATE TABLE verdict (
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('passed', 'failed', 'incomplete', 'infrastructure')),
    detail TEXT COLLATE "C" NOT NULL,
    given_at BIGINT NOT NULL,
    PRIMARY KEY (step_id, fence)
);

CREATE TABLE finding (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    run_id TEXT COLLATE "C" NOT NULL REFERENCES run (id),
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    fence BIGINT NOT NULL,
    image_id TEXT COLLATE "C" REFERENCES image (id),
    tool TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    severity TEXT COLLATE "C" NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'note', 'unknown')),
    title TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    path TEXT COLLATE "C",
    line BIGINT,
    purl TEXT COLLATE "C",
    package TEXT COLLATE "C",
    package_version TEXT COLLATE "C",
    fixed_in TEXT COLLATE "C",
    aliases TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    suppressed BIGINT NOT NULL CHECK (suppressed IN (0, 1)),
    found_at BIGINT NOT NULL,
    -- an advisory was withdrawn or corrected: the finding no longer stands
    gone_at BIGINT,
    UNIQUE (step_id, fence, fingerprint)
);
CREATE INDEX finding_run ON finding (run_id);
CREATE INDEX finding_image ON finding (image_id);

CREATE TABLE package (
    image_id TEXT COLLATE "C" NOT NULL REFERENCES image (id),
    purl TEXT COLLATE "C" NOT NULL,
    ecosystem TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    licences TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (image_id, purl)
);
CREATE INDEX package_name ON package (ecosystem, name);

-- The stored SBOM of an image, when its packages were last judged, and by which advisories (SHA-256
-- over the lines `<ecosystem> <digest>\n` of advisory_source).
CREATE TABLE sbom (
    image_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES image (id),
    step_id TEXT COLLATE "C" NOT NULL REFERENCES step (id),
    digest TEXT COLLATE "C" NOT NULL,
    packages BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    judged_at BIGINT,
    advisories TEXT COLLATE "C",
    CHECK ((judged_at IS NULL) = (advisories IS NULL))
);

-- `confirmed_at`: last successful import, an unchanged one counts; `content_at`: newest record.
CREATE TABLE advisory_source (
    ecosystem TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL,
    records BIGINT NOT NULL,
    content_at BIGINT NOT NULL,
    confirmed_at BIGINT NOT NULL
);

CREATE TABLE advisory (
    id TEXT COLLATE "C" NOT NULL,
    ecosystem TEXT COLLATE "C" NOT NULL,
    modified_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    document TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ecosystem, id)
);

CREATE TABLE advisory_package (
    ecosystem TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    advisory_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (ecosystem, name, advisory_id)
);

-- attestation --------------------------------------------------------------------------------

CREATE TABLE attestation (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    run_id TEXT COLLATE "C" NOT NULL REFERENCES run (id),
    image_id TEXT COLLATE "C" NOT NULL REFERENCES image (id),
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('provenance', 'sbom')),
    predicate_type TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('intended', 'signed', 'published')),
    statement BYTEA NOT NULL,
    envelope BYTEA,
    key_id TEXT COLLATE "C",
    manifest_digest TEXT COLLATE "C",
    intended_at BIGINT NOT NULL,
    signed_at BIGINT,
    published_at BIGINT,
    UNIQUE (image_id, kind),
    CHECK ((state = 'intended') = (envelope IS NULL)),
    CHECK ((state = 'published') = (manifest_digest IS NOT NULL))
);
CREATE INDEX attestation_open ON attestation (intended_at) WHERE state <> 'published';

-- A cosign signature of one image under one reference (quarantine, or an environment's).
CREATE TABLE signature (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    image_id TEXT COLLATE "C" NOT NULL REFERENCES image (id),
    repository TEXT COLLATE "C" NOT NULL,
    promotion_id TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('intended', 'signed', 'published')),
    payload BYTEA NOT NULL,
    signature BYTEA,
    key_id TEXT COLLATE "C",
    manifest_digest TEXT COLLATE "C",
    intended_at BIGINT NOT NULL,
    signed_at BIGINT,
    published_at BIGINT,
    UNIQUE (image_id, repository),
    CHECK ((state = 'intended') = (signature IS NULL)),
    CHECK ((state = 'published') = (manifest_digest IS NOT NULL))
);

-- gate ---------------------------------------------------------------------------------------

-- A judgement that let one release into one environment, with the conditions as JSON.
CREATE TABLE gate_decision (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    promotion_id TEXT COLLATE "C" NOT NULL,
    release_id TEXT COLLATE "C" NOT NULL REFERENCES release (id),
    environment TEXT COLLATE "C" NOT NULL,
    settings_version BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL CHECK (outcome IN ('open', 'closed')),
    conditions TEXT COLLATE "C" NOT NULL,
    evidence_digest TEXT COLLATE "C" NOT NULL,
    -- as it leaves the server: what permits a release signature
    decision TEXT COLLATE "C" NOT NULL,
    decided_at BIGINT NOT NULL
);
CREATE INDEX gate_decision_promotion ON gate_decision (promotion_id, decided_at);

-- approval -----------------------------------------------------------------------------------

-- `statement` is the exact text that the person said yes or no to.
CREATE TABLE approval (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    subject_kind TEXT COLLATE "C" NOT NULL CHECK (subject_kind IN ('promotion')),
    subject_id TEXT COLLATE "C" NOT NULL,
    person_id TEXT COLLATE "C" NOT NULL REFERENCES person (id),
    role TEXT COLLATE "C" NOT NULL,
    decision TEXT COLLATE "C" NOT NULL CHECK (decision IN ('approve', 'reject')),
    reason TEXT COLLATE "C" NOT NULL,
    statement BYTEA NOT NULL,
    statement_digest TEXT COLLATE "C" NOT NULL,
    given_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    void_at BIGINT,
    void_reason TEXT COLLATE "C",
    CHECK ((void_at IS NULL) = (void_reason IS NULL)),
    CHECK (used_at IS NULL OR void_at IS NULL)
);
-- One standing answer a person.
CREATE UNIQUE INDEX approval_standing ON approval (subject_kind, subject_id, person_id)
    WHERE void_at IS NULL;

-- promotion ----------------------------------------------------------------------------------

CREATE TABLE promotion (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    number BIGINT NOT NULL,
    release_id TEXT COLLATE "C" NOT NULL REFERENCES release (id),
    environment TEXT COLLATE "C" NOT NULL,
    settings_version BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL
        CHECK (state IN ('requested', 'waiting', 'applying', 'applied', 'failed', 'void', 'superseded')),
    cause TEXT COLLATE "C",
    requested_by TEXT COLLATE "C" NOT NULL,
    requester_id TEXT COLLATE "C" REFERENCES person (id),
    requested_at BIGINT NOT NULL,
    gate_decision_id TEXT COLLATE "C" REFERENCES gate_decision (id),
    applying_at BIGINT,
    applied_at BIGINT,
    ended_at BIGINT,
    -- what of applying was seen to work last and what hindered it, for people
    progress TEXT COLLATE "C",
    UNIQUE (project_id, number),
    CHECK (state NOT IN ('applying', 'applied') OR (gate_decision_id IS NOT NULL AND applying_at IS NOT NULL)),
    CHECK ((state = 'applied') = (applied_at IS NOT NULL)),
    CHECK ((state IN ('failed', 'void', 'superseded')) = (cause IS NOT NULL)),
    CHECK ((state IN ('applied', 'failed', 'void', 'superseded')) = (ended_at IS NOT NULL))
);
-- One release waits for, or enters, one environment once at a time.
CREATE UNIQUE INDEX promotion_open ON promotion (project_id, environment, release_id)
    WHERE state IN ('requested', 'waiting', 'applying');
CREATE INDEX promotion_list ON promotion (project_id, requested_at, id);

-- What is in an environment now.
CREATE TABLE environment_release (
    project_id TEXT COLLATE "C" NOT NULL REFERENCES project (id),
    environment TEXT COLLATE "C" NOT NULL,
    release_id TEXT COLLATE "C" NOT NULL REFERENCES release (id),
    promotion_id TEXT COLLATE "C" NOT NULL REFERENCES promotion (id),
    since_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, environment)
);

-- audit --------------------------------------------------------------------------------------

-- `entry` is fixed when it is written; the log's leaf will be the hash of exactly these bytes. The
-- other columns repeat what the entry says, for searching. `sequence` is the sequencer's.
CREATE TABLE audit_entry (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    entry BYTEA NOT NULL,
    at BIGINT NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    project_id TEXT COLLATE "C",
    actor TEXT COLLATE "C" NOT NULL,
    sequence BIGINT UNIQUE
);
CREATE INDEX audit_entry_list ON audit_entry (at, id);
CREATE INDEX audit_entry_subject ON audit_entry (subject);

-- Clear values of fields that an entry holds only as SHA-256(salt || value).
CREATE TABLE commitment (
    audit_id TEXT COLLATE "C" NOT NULL REFERENCES audit_entry (id),
    field TEXT COLLATE "C" NOT NULL,
    salt BYTEA NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (audit_id, field)
);
