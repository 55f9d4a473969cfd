-- The spine: from a delivery to a promotion. Dialect rules: ../README.md.

-- The instance and its keys ------------------------------------------------------------------

CREATE TABLE instance (
    id TEXT NOT NULL PRIMARY KEY,
    public_url TEXT NOT NULL,
    log_origin TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Public halves only; private ones lie in data_dir/keys or with the signer.
CREATE TABLE key (
    id TEXT NOT NULL PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('provenance', 'release', 'log', 'envelope', 'registry', 'ca')),
    public BLOB NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER,
    revoked_at INTEGER,
    reason TEXT
) STRICT;

-- identity -----------------------------------------------------------------------------------

CREATE TABLE person (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE TABLE login (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    kind TEXT NOT NULL CHECK (kind IN ('password')),
    subject TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (kind, subject)
) STRICT;

CREATE TABLE email (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    address TEXT NOT NULL UNIQUE,
    verified_at INTEGER
) STRICT;

-- The id is the SHA-256 of the cookie's token: the table opens no session.
CREATE TABLE session (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    csrf TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    signed_in_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_person ON session (person_id);

CREATE TABLE token (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- project ------------------------------------------------------------------------------------

-- `run_number` and `promotion_number` are the last ones given out.
CREATE TABLE project (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    settings_version INTEGER NOT NULL,
    run_number INTEGER NOT NULL,
    promotion_number INTEGER NOT NULL
) STRICT;

CREATE TABLE project_settings (
    project_id TEXT NOT NULL REFERENCES project (id),
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    digest TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    PRIMARY KEY (project_id, version)
) STRICT;

-- A null project is all projects.
CREATE TABLE role_grant (
    id TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    role TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'release-manager', 'auditor', 'admin')),
    project_id TEXT REFERENCES project (id),
    granted_at INTEGER NOT NULL,
    granted_by TEXT NOT NULL
) STRICT;
CREATE INDEX role_grant_person ON role_grant (person_id);

CREATE TABLE hook (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    provider TEXT NOT NULL CHECK (provider IN ('github', 'git')),
    pusher_id TEXT REFERENCES person (id),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE TABLE hook_secret (
    id TEXT NOT NULL PRIMARY KEY,
    hook_id TEXT NOT NULL REFERENCES hook (id),
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    until_at INTEGER,
    used_at INTEGER
) STRICT;
CREATE INDEX hook_secret_hook ON hook_secret (hook_id);

-- delivery -----------------------------------------------------------------------------------

-- Only accepted deliveries. `ref_name`, `commit_id`, `sender` are the projection that lists show;
-- they are null until the body was understood.
CREATE TABLE delivery (
    id TEXT NOT NULL PRIMARY KEY,
    hook_id TEXT NOT NULL REFERENCES hook (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    provider TEXT NOT NULL,
    external_id TEXT NOT NULL,
    event TEXT NOT NULL,
    headers TEXT NOT NULL,
    body_digest TEXT NOT NULL,
    body_bytes INTEGER NOT NULL,
    body BLOB,
    signature TEXT NOT NULL,
    secret_id TEXT NOT NULL,
    address BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    -- the body's digest where the sender's id is not signed: the first delivery of a body holds it for
    -- the replay window
    body_key TEXT,
    -- the earlier delivery whose body this one repeats: it starts nothing
    replays_id TEXT REFERENCES delivery (id),
    audit_id TEXT NOT NULL,
    ref_name TEXT,
    commit_id TEXT,
    sender TEXT,
    consumed_at INTEGER,
    UNIQUE (hook_id, external_id),
    UNIQUE (hook_id, body_key)
) STRICT;
CREATE INDEX delivery_list ON delivery (received_at, id);
CREATE INDEX delivery_waiting ON delivery (received_at) WHERE consumed_at IS NULL;

-- Refused requests, without their body. A folded row counts many of one kind in one minute.
CREATE TABLE refusal (
    id TEXT NOT NULL PRIMARY KEY,
    hook_id TEXT,
    project_id TEXT,
    reason TEXT NOT NULL,
    event TEXT,
    external_id TEXT,
    body_digest TEXT,
    body_bytes INTEGER,
    address BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    requests INTEGER NOT NULL CHECK (requests > 0),
    folded INTEGER NOT NULL CHECK (folded IN (0, 1)),
    audit_id TEXT NOT NULL
) STRICT;
CREATE INDEX refusal_list ON refusal (received_at, id);

-- trigger ------------------------------------------------------------------------------------

CREATE TABLE trigger (
    id TEXT NOT NULL PRIMARY KEY,
    delivery_id TEXT NOT NULL REFERENCES delivery (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    ref_name TEXT NOT NULL,
    commit_id TEXT,
    before_id TEXT,
    decision TEXT NOT NULL CHECK (decision IN ('start', 'skip', 'hold')),
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    trust TEXT NOT NULL CHECK (trust IN ('trusted', 'untrusted')),
    settings_version INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    consumed_at INTEGER,
    UNIQUE (delivery_id, ref_name),
    CHECK (decision <> 'start' OR commit_id IS NOT NULL)
) STRICT;
CREATE INDEX trigger_delivery ON trigger (delivery_id);
CREATE INDEX trigger_waiting ON trigger (decided_at) WHERE decision = 'start' AND consumed_at IS NULL;

-- Deliveries whose repository could not be read yet: they are tried again, and their page says why.
CREATE TABLE trigger_retry (
    delivery_id TEXT NOT NULL PRIMARY KEY REFERENCES delivery (id),
    tries INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    problem TEXT NOT NULL
) STRICT;

-- run ----------------------------------------------------------------------------------------

-- `plan` is the frozen pipeline as JSON; `complaints` what made the run invalid.
CREATE TABLE run (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    number INTEGER NOT NULL,
    trigger_id TEXT NOT NULL REFERENCES trigger (id),
    attempt INTEGER NOT NULL,
    again_of_id TEXT REFERENCES run (id),
    ref_name TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    commit_title TEXT NOT NULL,
    commit_time INTEGER NOT NULL,
    author_name TEXT NOT NULL,
    author_email TEXT NOT NULL,
    committer_email TEXT NOT NULL,
    pusher_id TEXT REFERENCES person (id),
    trust TEXT NOT NULL CHECK (trust IN ('trusted', 'untrusted')),
    settings_version INTEGER NOT NULL,
    pipeline_path TEXT NOT NULL,
    pipeline_digest TEXT,
    plan TEXT,
    complaints TEXT,
    source_digest TEXT,
    source_bytes INTEGER,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'finished', 'invalid', 'refused')),
    cause TEXT,
    cause_detail TEXT,
    cancel_at INTEGER,
    cancel_by TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    UNIQUE (project_id, number),
    UNIQUE (trigger_id, attempt),
    CHECK (state NOT IN ('finished', 'invalid', 'refused') OR finished_at IS NOT NULL),
    CHECK ((state IN ('finished', 'refused')) = (cause IS NOT NULL)),
    CHECK ((state = 'invalid') = (complaints IS NOT NULL)),
    CHECK (state NOT IN ('waiting', 'running', 'finished') OR plan IS NOT NULL)
) STRICT;
CREATE INDEX run_list ON run (project_id, created_at, id);
CREATE INDEX run_open ON run (created_at) WHERE state IN ('waiting', 'running');

-- fleet --------------------------------------------------------------------------------------

CREATE TABLE worker (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    public BLOB NOT NULL,
    certificate_digest TEXT NOT NULL UNIQUE,
    version TEXT,
    level TEXT,
    isolation TEXT,
    slots INTEGER,
    enrolled_at INTEGER NOT NULL,
    seen_at INTEGER,
    drained_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE TABLE enrolment_token (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    worker_id TEXT REFERENCES worker (id),
    CHECK ((used_at IS NULL) = (worker_id IS NULL))
) STRICT;

-- step ---------------------------------------------------------------------------------------

-- `work` is the part of the plan that is this step's, as JSON. `fence` counts the claims.
CREATE TABLE step (
    id TEXT NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL REFERENCES run (id),
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('build', 'analyze', 'scan', 'test', 'run')),
    ordinal INTEGER NOT NULL,
    work TEXT NOT NULL,
    timeout_ms INTEGER NOT NULL,
    -- how many steps of the project may be under lease at once, as the settings said at the plan
    parallel_max INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL CHECK (state IN ('blocked', 'ready', 'leased', 'reported', 'finished', 'skipped')),
    cause TEXT,
    cause_detail TEXT,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before_at INTEGER NOT NULL,
    worker_id TEXT REFERENCES worker (id),
    lease_ends_at INTEGER,
    deadline_at INTEGER,
    phase TEXT,
    ready_at INTEGER,
    leased_at INTEGER,
    started_at INTEGER,
    first_output_at INTEGER,
    reported_at INTEGER,
    finished_at INTEGER,
    UNIQUE (run_id, name),
    CHECK ((state = 'leased') = (lease_ends_at IS NOT NULL)),
    CHECK (state <> 'leased' OR worker_id IS NOT NULL),
    CHECK ((state IN ('finished', 'skipped')) = (cause IS NOT NULL)),
    CHECK ((state IN ('finished', 'skipped')) = (finished_at IS NOT NULL))
) STRICT;
CREATE INDEX step_ready ON step (not_before_at) WHERE state = 'ready';
CREATE INDEX step_open ON step (state, lease_ends_at) WHERE state IN ('leased', 'reported');

CREATE TABLE step_need (
    step_id TEXT NOT NULL REFERENCES step (id),
    needs_id TEXT NOT NULL REFERENCES step (id),
    PRIMARY KEY (step_id, needs_id)
) STRICT;

-- Every lease that a step had; the current one is also in `step`.
CREATE TABLE lease (
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    worker_id TEXT NOT NULL REFERENCES worker (id),
    leased_at INTEGER NOT NULL,
    ended_at INTEGER,
    cause TEXT,
    cause_detail TEXT,
    PRIMARY KEY (step_id, fence),
    CHECK ((ended_at IS NULL) = (cause IS NULL))
) STRICT;

-- `sha256` is the running hash of the log up to the end of this chunk.
CREATE TABLE log_chunk (
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at_offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (step_id, fence, sequence)
) STRICT;

CREATE TABLE artifact (
    id TEXT NOT NULL PRIMARY KEY,
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    UNIQUE (step_id, fence, sequence),
    UNIQUE (step_id, fence, name)
) STRICT;

-- The worker's signed report, verbatim, and its payload, verified.
CREATE TABLE report (
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    payload TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (step_id, fence)
) STRICT;

-- image --------------------------------------------------------------------------------------

-- What the orchestrator itself read from the registry and hashed.
CREATE TABLE image (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    run_id TEXT NOT NULL REFERENCES run (id),
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    name TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    manifest BLOB NOT NULL,
    image_bytes INTEGER NOT NULL,
    platforms TEXT NOT NULL,
    bases TEXT NOT NULL,
    observed_at INTEGER NOT NULL,
    UNIQUE (step_id, fence, name)
) STRICT;
CREATE INDEX image_digest ON image (digest);
CREATE INDEX image_run ON image (run_id);

-- A claim of a worker that did not hold: another digest, another repository, no such manifest.
CREATE TABLE image_refusal (
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    refused_at INTEGER NOT NULL,
    PRIMARY KEY (step_id, fence)
) STRICT;

-- The whole set of images of one successful run. `digest` is the SHA-256 of the lines
-- `<name> <digest>\n` in the order of the names.
CREATE TABLE release (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    run_id TEXT NOT NULL UNIQUE REFERENCES run (id),
    digest TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE release_image (
    release_id TEXT NOT NULL REFERENCES release (id),
    name TEXT NOT NULL,
    image_id TEXT NOT NULL REFERENCES image (id),
    digest TEXT NOT NULL,
    PRIMARY KEY (release_id, name)
) STRICT;

-- finding ------------------------------------------------------------------------------------

-- One stored report that was read, well or not.
CREATE TABLE finding_report (
    id TEXT NOT NULL PRIMARY KEY,
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    artifact_id TEXT REFERENCES artifact (id),
    tool TEXT NOT NULL,
    format TEXT NOT NULL CHECK (format IN ('sarif', 'junit', 'cyclonedx', 'osv')),
    outcome TEXT NOT NULL CHECK (outcome IN ('read', 'unreadable', 'missing', 'did-not-run')),
    detail TEXT NOT NULL,
    tests_passed INTEGER,
    tests_failed INTEGER,
    tests_errored INTEGER,
    tests_skipped INTEGER,
    tests TEXT,
    read_at INTEGER NOT NULL,
    UNIQUE (step_id, fence, format, tool)
) STRICT;

-- What a step's reports say about it: the answer to step::Verdicts.
CREATE TABLE verdict (
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('passed', 'failed', 'incomplete', 'infrastructure')),
    detail TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    PRIMARY KEY (step_id, fence)
) STRICT;

CREATE TABLE finding (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    run_id TEXT NOT NULL REFERENCES run (id),
    step_id TEXT NOT NULL REFERENCES step (id),
    fence INTEGER NOT NULL,
    image_id TEXT REFERENCES image (id),
    tool TEXT NOT NULL,
    rule TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low', 'note', 'unknown')),
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    path TEXT,
    line INTEGER,
    purl TEXT,
    package TEXT,
    package_version TEXT,
    fixed_in TEXT,
    aliases TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    suppressed INTEGER NOT NULL CHECK (suppressed IN (0, 1)),
    found_at INTEGER NOT NULL,
    -- an advisory was withdrawn or corrected: the finding no longer stands
    gone_at INTEGER,
    UNIQUE (step_id, fence, fingerprint)
) STRICT;
CREATE INDEX finding_run ON finding (run_id);
CREATE INDEX finding_image ON finding (image_id);

CREATE TABLE package (
    image_id TEXT NOT NULL REFERENCES image (id),
    purl TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    licences TEXT NOT NULL,
    PRIMARY KEY (image_id, purl)
) STRICT;
CREATE INDEX package_name ON package (ecosystem, name);

-- The stored SBOM of an image, when its packages were last judged, and by which advisories (SHA-256
-- over the lines `<ecosystem> <digest>\n` of advisory_source).
CREATE TABLE sbom (
    image_id TEXT NOT NULL PRIMARY KEY REFERENCES image (id),
    step_id TEXT NOT NULL REFERENCES step (id),
    digest TEXT NOT NULL,
    packages INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    judged_at INTEGER,
    advisories TEXT,
    CHECK ((judged_at IS NULL) = (advisories IS NULL))
) STRICT;

-- `confirmed_at`: last successful import, an unchanged one counts; `content_at`: newest record.
CREATE TABLE advisory_source (
    ecosystem TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL,
    records INTEGER NOT NULL,
    content_at INTEGER NOT NULL,
    confirmed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE advisory (
    id TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    withdrawn_at INTEGER,
    document TEXT NOT NULL,
    PRIMARY KEY (ecosystem, id)
) STRICT;

CREATE TABLE advisory_package (
    ecosystem TEXT NOT NULL,
    name TEXT NOT NULL,
    advisory_id TEXT NOT NULL,
    PRIMARY KEY (ecosystem, name, advisory_id)
) STRICT;

-- attestation --------------------------------------------------------------------------------

CREATE TABLE attestation (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    run_id TEXT NOT NULL REFERENCES run (id),
    image_id TEXT NOT NULL REFERENCES image (id),
    kind TEXT NOT NULL CHECK (kind IN ('provenance', 'sbom')),
    predicate_type TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intended', 'signed', 'published')),
    statement BLOB NOT NULL,
    envelope BLOB,
    key_id TEXT,
    manifest_digest TEXT,
    intended_at INTEGER NOT NULL,
    signed_at INTEGER,
    published_at INTEGER,
    UNIQUE (image_id, kind),
    CHECK ((state = 'intended') = (envelope IS NULL)),
    CHECK ((state = 'published') = (manifest_digest IS NOT NULL))
) STRICT;
CREATE INDEX attestation_open ON attestation (intended_at) WHERE state <> 'published';

-- A cosign signature of one image under one reference (quarantine, or an environment's).
CREATE TABLE signature (
    id TEXT NOT NULL PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES image (id),
    repository TEXT NOT NULL,
    promotion_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('intended', 'signed', 'published')),
    payload BLOB NOT NULL,
    signature BLOB,
    key_id TEXT,
    manifest_digest TEXT,
    intended_at INTEGER NOT NULL,
    signed_at INTEGER,
    published_at INTEGER,
    UNIQUE (image_id, repository),
    CHECK ((state = 'intended') = (signature IS NULL)),
    CHECK ((state = 'published') = (manifest_digest IS NOT NULL))
) STRICT;

-- gate ---------------------------------------------------------------------------------------

-- A judgement that let one release into one environment, with the conditions as JSON.
CREATE TABLE gate_decision (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    promotion_id TEXT NOT NULL,
    release_id TEXT NOT NULL REFERENCES release (id),
    environment TEXT NOT NULL,
    settings_version INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('open', 'closed')),
    conditions TEXT NOT NULL,
    evidence_digest TEXT NOT NULL,
    -- as it leaves the server: what permits a release signature
    decision TEXT NOT NULL,
    decided_at INTEGER NOT NULL
) STRICT;
CREATE INDEX gate_decision_promotion ON gate_decision (promotion_id, decided_at);

-- approval -----------------------------------------------------------------------------------

-- `statement` is the exact text that the person said yes or no to.
CREATE TABLE approval (
    id TEXT NOT NULL PRIMARY KEY,
    subject_kind TEXT NOT NULL CHECK (subject_kind IN ('promotion')),
    subject_id TEXT NOT NULL,
    person_id TEXT NOT NULL REFERENCES person (id),
    role TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('approve', 'reject')),
    reason TEXT NOT NULL,
    statement BLOB NOT NULL,
    statement_digest TEXT NOT NULL,
    given_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    void_at INTEGER,
    void_reason TEXT,
    CHECK ((void_at IS NULL) = (void_reason IS NULL)),
    CHECK (used_at IS NULL OR void_at IS NULL)
) STRICT;
-- One standing answer a person.
CREATE UNIQUE INDEX approval_standing ON approval (subject_kind, subject_id, person_id)
    WHERE void_at IS NULL;

-- promotion ----------------------------------------------------------------------------------

CREATE TABLE promotion (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    number INTEGER NOT NULL,
    release_id TEXT NOT NULL REFERENCES release (id),
    environment TEXT NOT NULL,
    settings_version INTEGER NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('requested', 'waiting', 'applying', 'applied', 'failed', 'void', 'superseded')),
    cause TEXT,
    requested_by TEXT NOT NULL,
    requester_id TEXT REFERENCES person (id),
    requested_at INTEGER NOT NULL,
    gate_decision_id TEXT REFERENCES gate_decision (id),
    applying_at INTEGER,
    applied_at INTEGER,
    ended_at INTEGER,
    -- what of applying was seen to work last and what hindered it, for people
    progress TEXT,
    UNIQUE (project_id, number),
    CHECK (state NOT IN ('applying', 'applied') OR (gate_decision_id IS NOT NULL AND applying_at IS NOT NULL)),
    CHECK ((state = 'applied') = (applied_at IS NOT NULL)),
    CHECK ((state IN ('failed', 'void', 'superseded')) = (cause IS NOT NULL)),
    CHECK ((state IN ('applied', 'failed', 'void', 'superseded')) = (ended_at IS NOT NULL))
) STRICT;
-- One release waits for, or enters, one environment once at a time.
CREATE UNIQUE INDEX promotion_open ON promotion (project_id, environment, release_id)
    WHERE state IN ('requested', 'waiting', 'applying');
CREATE INDEX promotion_list ON promotion (project_id, requested_at, id);

-- What is in an environment now.
CREATE TABLE environment_release (
    project_id TEXT NOT NULL REFERENCES project (id),
    environment TEXT NOT NULL,
    release_id TEXT NOT NULL REFERENCES release (id),
    promotion_id TEXT NOT NULL REFERENCES promotion (id),
    since_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, environment)
) STRICT;

-- audit --------------------------------------------------------------------------------------

-- `entry` is fixed when it is written; the log's leaf will be the hash of exactly these bytes. The
-- other columns repeat what the entry says, for searching. `sequence` is the sequencer's.
CREATE TABLE audit_entry (
    id TEXT NOT NULL PRIMARY KEY,
    entry BLOB NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    project_id TEXT,
    actor TEXT NOT NULL,
    sequence INTEGER UNIQUE
) STRICT;
CREATE INDEX audit_entry_list ON audit_entry (at, id);
CREATE INDEX audit_entry_subject ON audit_entry (subject);

-- Clear values of fields that an entry holds only as SHA-256(salt || value).
CREATE TABLE commitment (
    audit_id TEXT NOT NULL REFERENCES audit_entry (id),
    field TEXT NOT NULL,
    salt BLOB NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (audit_id, field)
) STRICT;
