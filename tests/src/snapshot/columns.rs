//! Every column of the schema: compared, or volatile and why.

/// How a column is compared.
pub(super) enum How {
    /// As it is.
    Same,
    /// The row's own id: random; whoever names the row names it by its natural key.
    Id,
    /// It names a row of this table, and is compared by that row's natural key.
    Of(&'static str),
    /// Volatile for this reason; whether it is set is compared.
    Set(&'static str),
    /// Text, compared without the ids and times in it, for this reason.
    Scrubbed(&'static str),
    /// The same for text that is stored as bytes.
    Bytes(&'static str),
    /// `<kind>:<id>`, compared by the natural key of the row in the table of that name; by its kind alone
    /// when that has none.
    Subject,
    /// Who did it, people by their name.
    Actor,
    /// Volatile for this reason; not compared at all.
    Not(&'static str),
}

impl How {
    /// Why it is not compared as it is; none when it is.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Same | Self::Id | Self::Of(_) | Self::Subject | Self::Actor => None,
            Self::Set(why) | Self::Scrubbed(why) | Self::Bytes(why) | Self::Not(why) => Some(why),
        }
    }
}

use How::{Actor, Bytes, Id, Not, Of, Same, Scrubbed, Set, Subject};

/// Which rows are compared.
#[derive(PartialEq, Eq)]
pub(super) enum Rows {
    /// All, as a multiset.
    All,
    /// Equal ones once: somebody who got no answer has done it again.
    Each,
    /// Those of each step's last lease: a crash may cost one before.
    LastLease,
}

/// A table.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The columns by which its rows are named where others name them.
    pub(super) key: &'static [&'static str],
    pub(super) rows: Rows,
    pub(super) columns: &'static [(&'static str, How)],
}

/// Audit entries that a restart, a repeat or a further attempt may add, as their rows begin.
pub(super) const MAY_REPEAT: &[(&str, &str)] = &[(
    "type=identity.signed-in ",
    "a person whose sign-in got no answer signs in again",
)];

const CLOCK: How = Set("the clock");
const LEASES: How = Not("a crash may cost a lease");
const DIGEST_OF_VOLATILE: How = Set("a digest over ids and times");
const HOLDS_IDS: How = Scrubbed("holds ids and times");
const HOLDS_IDS_BYTES: How = Bytes("holds ids and times");

macro_rules! table {
    ($name:literal, [$($key:literal),*], $rows:ident, { $($column:literal: $how:expr),* $(,)? }) => {
        Table {
            name: $name,
            key: &[$($key),*],
            rows: Rows::$rows,
            columns: &[$(($column, $how)),*],
        }
    };
}

/// All tables, in the order of the migrations.
pub(super) const TABLES: &[Table] = &[
    table!("migration", [], All, { "name": Same, "sha256": Same }),
    table!("instance", ["public_url"], All, {
        "id": Id, "public_url": Same, "log_origin": Same, "created_at": CLOCK,
    }),
    table!("key", ["role", "public"], All, {
        "id": Same, "role": Same, "public": Same, "from_at": CLOCK, "until_at": CLOCK,
        "revoked_at": CLOCK, "reason": Same,
    }),
    table!("person", ["name"], All, {
        "id": Id, "name": Same, "display_name": Same, "created_at": CLOCK, "disabled_at": CLOCK,
    }),
    table!("login", [], All, {
        "id": Id, "person_id": Of("person"), "kind": Same, "subject": Same, "secret_hash": Same,
        "changed_at": CLOCK,
    }),
    table!("email", [], All, {
        "id": Id, "person_id": Of("person"), "address": Same, "verified_at": CLOCK,
    }),
    table!("session", [], Each, {
        "id": Not("the hash of a random cookie"), "person_id": Of("person"), "csrf": Set("random"),
        "created_at": CLOCK, "signed_in_at": CLOCK, "seen_at": CLOCK, "expires_at": CLOCK,
    }),
    table!("token", [], All, {
        "id": Id, "person_id": Of("person"), "name": Same, "secret_hash": Set("random"),
        "created_at": CLOCK, "expires_at": CLOCK, "revoked_at": CLOCK, "made_by": Actor,
        "made_by_id": Of("person"),
    }),
    table!("project", ["name"], All, {
        "id": Id, "name": Same, "created_at": CLOCK, "settings_version": Same, "run_number": Same,
        "promotion_number": Same,
    }),
    table!("project_settings", [], All, {
        "project_id": Of("project"), "version": Same, "document": Same, "digest": Same,
        "applied_at": CLOCK, "applied_by": Actor, "applied_by_id": Of("person"),
    }),
    table!("role_grant", [], All, {
        "id": Id, "person_id": Of("person"), "role": Same, "project_id": Of("project"),
        "granted_at": CLOCK, "granted_by": Actor,
    }),
    table!("hook", ["project_id", "provider"], All, {
        "id": Id, "project_id": Of("project"), "provider": Same, "pusher_id": Of("person"),
        "created_at": CLOCK, "disabled_at": CLOCK,
    }),
    table!("hook_secret", ["hook_id"], All, {
        "id": Id, "hook_id": Of("hook"), "sealed": Same, "created_at": CLOCK, "until_at": CLOCK,
        "used_at": CLOCK,
    }),
    table!("delivery", ["hook_id", "external_id"], All, {
        "id": Id, "hook_id": Of("hook"), "project_id": Of("project"), "provider": Same,
        "external_id": Same, "event": Same, "headers": Set("the sender's time and signature"),
        "body_digest": Same, "body_bytes": Same, "body": Same, "signature": Same,
        "secret_id": Of("hook_secret"), "address": Same, "received_at": CLOCK, "body_key": Same,
        "replays_id": Of("delivery"), "audit_id": Of("audit_entry"), "ref_name": Same,
        "commit_id": Same, "sender": Same, "consumed_at": CLOCK,
    }),
    table!("refusal", [], All, {
        "id": Id, "hook_id": Of("hook"), "project_id": Of("project"), "reason": Same, "event": Same,
        "external_id": Same, "body_digest": Same, "body_bytes": Same, "address": Same,
        "received_at": CLOCK, "requests": Same, "folded": Same, "audit_id": Of("audit_entry"),
    }),
    table!("trigger", ["delivery_id", "ref_name"], All, {
        "id": Id, "delivery_id": Of("delivery"), "project_id": Of("project"), "ref_name": Same,
        "commit_id": Same, "before_id": Same, "decision": Same, "reason": Same, "detail": Same,
        "trust": Same, "settings_version": Same, "decided_at": CLOCK, "consumed_at": CLOCK,
    }),
    table!("trigger_retry", [], All, {
        "delivery_id": Of("delivery"), "tries": Same, "next_at": CLOCK, "problem": Same,
    }),
    table!("run", ["project_id", "number"], All, {
        "id": Id, "project_id": Of("project"), "number": Same, "trigger_id": Of("trigger"),
        "attempt": Same, "again_of_id": Of("run"), "ref_name": Same, "commit_id": Same,
        "commit_title": Same, "commit_time": Same, "author_name": Same, "author_email": Same,
        "committer_email": Same, "pusher_id": Of("person"), "trust": Same, "settings_version": Same,
        "pipeline_path": Same, "pipeline_digest": Same, "plan": Same, "complaints": Same,
        "source_digest": Same, "source_bytes": Same, "state": Same, "cause": Same,
        "cause_detail": Same, "cancel_at": CLOCK, "cancel_by": Actor, "created_at": CLOCK,
        "started_at": CLOCK, "finished_at": CLOCK, "warnings": Same,
        "wish_id": Of("run_wish"), "released_at": CLOCK,
    }),
    table!("run_retry", [], All, {
        "trigger_id": Of("trigger"), "tries": Same, "next_at": CLOCK, "problem": Same,
    }),
    table!("run_wish", ["run_id"], All, {
        "id": Id, "run_id": Of("run"), "wished_by": Actor, "wished_by_id": Of("person"),
        "wished_at": CLOCK, "tries": Same, "next_at": CLOCK, "problem": Same, "consumed_at": CLOCK,
    }),
    table!("worker", ["name"], All, {
        "id": Id, "name": Same, "public": Same, "certificate_digest": Same, "version": Same,
        "level": Same, "isolation": Same, "slots": Same, "enrolled_at": CLOCK, "seen_at": CLOCK,
        "drained_at": CLOCK, "revoked_at": CLOCK, "granted_level": Same,
    }),
    table!("enrolment_token", [], All, {
        "id": Id, "secret_hash": Same, "created_at": CLOCK, "created_by": Actor,
        "expires_at": CLOCK, "used_at": CLOCK, "worker_id": Of("worker"), "level": Same,
    }),
    table!("step", ["run_id", "name"], All, {
        "id": Id, "run_id": Of("run"), "project_id": Of("project"), "name": Same, "kind": Same,
        "ordinal": Same, "work": Same, "timeout_ms": Same, "parallel_max": Same, "state": Same,
        "cause": Same, "cause_detail": Same, "fence": LEASES, "attempts": LEASES,
        "not_before_at": CLOCK, "worker_id": Of("worker"), "lease_ends_at": CLOCK,
        "deadline_at": CLOCK, "phase": Same, "ready_at": CLOCK, "leased_at": CLOCK,
        "started_at": CLOCK, "first_output_at": CLOCK, "reported_at": CLOCK, "finished_at": CLOCK,
    }),
    table!("step_need", [], All, { "step_id": Of("step"), "needs_id": Of("step") }),
    table!("lease", [], LastLease, {
        "step_id": Of("step"), "fence": LEASES, "worker_id": Of("worker"), "leased_at": CLOCK,
        "ended_at": CLOCK, "cause": Same, "cause_detail": Same,
    }),
    table!("log_chunk", [], LastLease, {
        "step_id": Of("step"), "fence": LEASES, "sequence": Same, "at_offset": Same, "bytes": Same,
        "sha256": Same, "received_at": CLOCK,
    }),
    table!("artifact", ["step_id", "name"], LastLease, {
        "id": Id, "step_id": Of("step"), "fence": LEASES, "sequence": Same, "name": Same,
        "digest": Same, "bytes": Same, "stored_at": CLOCK,
    }),
    table!("report", [], LastLease, {
        "step_id": Of("step"), "fence": LEASES, "envelope": Set("a signature over ids and times"),
        "payload": HOLDS_IDS, "received_at": CLOCK, "log_dropped_bytes": Same,
    }),
    table!("image", ["step_id", "name"], LastLease, {
        "id": Id, "project_id": Of("project"), "run_id": Of("run"), "step_id": Of("step"),
        "fence": LEASES, "name": Same, "repository": Same, "digest": Same, "media_type": Same,
        "manifest": Same, "image_bytes": Same, "platforms": Same, "bases": Same,
        "observed_at": CLOCK,
    }),
    table!("image_refusal", [], LastLease, {
        "step_id": Of("step"), "fence": LEASES, "reason": Same, "detail": Same,
        "refused_at": CLOCK,
    }),
    table!("release", ["run_id"], All, {
        "id": Id, "project_id": Of("project"), "run_id": Of("run"), "digest": Same,
        "made_at": CLOCK,
    }),
    table!("release_image", [], All, {
        "release_id": Of("release"), "name": Same, "image_id": Of("image"), "digest": Same,
    }),
    table!("finding_report", [], LastLease, {
        "id": Id, "step_id": Of("step"), "fence": LEASES, "artifact_id": Of("artifact"),
        "tool": Same, "format": Same, "outcome": Same, "detail": Same, "tests_passed": Same,
        "tests_failed": Same, "tests_errored": Same, "tests_skipped": Same, "tests": Same,
        "read_at": CLOCK,
    }),
    table!("verdict", [], LastLease, {
        "step_id": Of("step"), "fence": LEASES, "outcome": Same, "detail": Same, "given_at": CLOCK,
    }),
    table!("finding", [], LastLease, {
        "id": Id, "project_id": Of("project"), "run_id": Of("run"), "step_id": Of("step"),
        "fence": LEASES, "image_id": Of("image"), "tool": Same, "rule": Same, "severity": Same,
        "title": Same, "message": Same, "path": Same, "line": Same, "purl": Same, "package": Same,
        "package_version": Same, "fixed_in": Same, "aliases": Same, "fingerprint": Same,
        "suppressed": Same, "found_at": CLOCK, "gone_at": CLOCK,
    }),
    table!("package", [], All, {
        "image_id": Of("image"), "purl": Same, "ecosystem": Same, "name": Same, "version": Same,
        "licences": Same,
    }),
    table!("sbom", [], All, {
        "image_id": Of("image"), "step_id": Of("step"), "digest": Same, "packages": Same,
        "stored_at": CLOCK, "judged_at": CLOCK, "advisories": Same,
    }),
    table!("advisory_source", [], All, {
        "ecosystem": Same, "digest": Same, "records": Same, "content_at": Same,
        "confirmed_at": CLOCK,
    }),
    table!("advisory", [], All, {
        "id": Same, "ecosystem": Same, "modified_at": Same, "withdrawn_at": Same, "document": Same,
    }),
    table!("advisory_package", [], All, { "ecosystem": Same, "name": Same, "advisory_id": Same }),
    table!("attestation", ["image_id", "kind"], All, {
        "id": Id, "project_id": Of("project"), "run_id": Of("run"), "image_id": Of("image"),
        "kind": Same, "predicate_type": Same, "state": Same, "statement": HOLDS_IDS_BYTES,
        "envelope": Set("a signature over ids and times"), "key_id": Same,
        "manifest_digest": DIGEST_OF_VOLATILE, "intended_at": CLOCK, "signed_at": CLOCK,
        "published_at": CLOCK, "problem": Same,
    }),
    table!("signature", [], All, {
        "id": Id, "image_id": Of("image"), "repository": Same, "promotion_id": Of("promotion"),
        "state": Same, "payload": Same, "signature": Same, "key_id": Same, "manifest_digest": Same,
        "intended_at": CLOCK, "signed_at": CLOCK, "published_at": CLOCK, "problem": Same,
    }),
    table!("gate_decision", ["promotion_id", "outcome"], All, {
        "id": Id, "project_id": Of("project"), "promotion_id": Of("promotion"),
        "release_id": Of("release"), "environment": Same, "settings_version": Same,
        "outcome": Same, "conditions": HOLDS_IDS, "evidence_digest": DIGEST_OF_VOLATILE,
        "decision": Set("holds a digest over ids and times; what it decides stands in its columns"),
        "decided_at": CLOCK,
    }),
    table!("approval", [], All, {
        "id": Id, "subject_kind": Same, "subject_id": Of("promotion"), "person_id": Of("person"),
        "role": Same, "decision": Same, "reason": Same,
        "statement": Set("holds a nonce and digests over ids; what it says stands in its columns"),
        "statement_digest": DIGEST_OF_VOLATILE, "given_at": CLOCK, "expires_at": CLOCK,
        "used_at": CLOCK, "void_at": CLOCK, "void_reason": Same,
    }),
    table!("promotion", ["project_id", "number", "environment"], All, {
        "id": Id, "project_id": Of("project"), "number": Same, "release_id": Of("release"),
        "environment": Same, "settings_version": Same, "state": Same, "cause": Same,
        "requested_by": Actor, "requester_id": Of("person"), "requested_at": CLOCK,
        "gate_decision_id": Of("gate_decision"), "applying_at": CLOCK, "applied_at": CLOCK,
        "ended_at": CLOCK, "progress": Same, "tagging_at": CLOCK, "give_up_at": CLOCK,
        "give_up_by": Actor, "give_up_reason": Same,
    }),
    table!("environment_release", [], All, {
        "project_id": Of("project"), "environment": Same, "release_id": Of("release"),
        "promotion_id": Of("promotion"), "since_at": CLOCK,
    }),
    table!("contribution", [], All, {
        "project_id": Of("project"), "base_id": Same, "head_id": Same, "commits": Same,
        "complete": Same, "read_at": CLOCK,
    }),
    table!("contributor", [], All, {
        "project_id": Of("project"), "base_id": Same, "head_id": Same, "address": Same,
        "name": Same, "wrote": Same, "committed": Same,
    }),
    table!("contribution_commit", [], All, {
        "project_id": Of("project"), "base_id": Same, "head_id": Same, "place": Same,
        "commit_id": Same, "title": Same, "author_name": Same, "author_address": Same,
        "committer_name": Same, "committer_address": Same, "commit_time": Same,
    }),
    table!("audit_entry", ["type"], All, {
        "type": Same, "subject": Subject, "id": Id, "entry": Not("holds ids and times"), "at": CLOCK,
        "project_id": Of("project"), "actor": Actor, "sequence": Not("the sequencer's pace"),
    }),
    table!("commitment", [], All, {
        "audit_id": Of("audit_entry"), "field": Same, "salt": Set("random"), "value": Same,
    }),
];
