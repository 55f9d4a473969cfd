//! The words and shapes of states: one place, so that a state looks the same everywhere.

use super::{Look, Status};
use crate::delivery::RefusalReason;
use crate::run::{Cause, RunState};
use crate::step::StepState;

/// How something ended.
pub(super) fn cause(cause: &Cause) -> Status {
    match cause {
        Cause::Passed => Status::new(Look::Pass, "pass", "Passed"),
        Cause::Failed { .. } => Status::new(Look::Fail, "fail", "Failed"),
        Cause::WorkerLost => Status::new(Look::Fail, "fail", "Worker lost"),
        Cause::Deadline { .. } => Status::new(Look::Fail, "clock", "Deadline"),
        Cause::Cancelled { .. } => Status::new(Look::Idle, "stop", "Cancelled"),
        Cause::Superseded { .. } => Status::new(Look::Idle, "skip", "Superseded"),
        Cause::Refused { .. } => Status::new(Look::Fail, "refuse", "Refused"),
        Cause::Incomplete { .. } => Status::new(Look::Fail, "warn", "Incomplete"),
        Cause::Infrastructure { .. } => Status::new(Look::Wait, "warn", "Infrastructure"),
        Cause::Needed { .. } => Status::new(Look::Idle, "skip", "Did not run"),
    }
}

/// What there is to say about an end besides its word.
pub(super) fn detail(cause: &Cause) -> String {
    match cause {
        Cause::Passed => String::new(),
        Cause::WorkerLost => "The worker was not heard of any more".to_owned(),
        Cause::Failed { what } | Cause::Incomplete { what } | Cause::Infrastructure { what } => {
            what.clone()
        }
        Cause::Deadline { which } => which.clone(),
        Cause::Refused { why } => why.clone(),
        Cause::Cancelled { by } | Cause::Superseded { by } => format!("By {by}"),
        Cause::Needed { step } => format!("It needs {step}, which did not pass"),
    }
}

/// Where a run stands.
pub(super) fn run(state: &RunState) -> Status {
    match state {
        RunState::Waiting => Status::new(Look::Idle, "queue", "Queued"),
        RunState::Running { .. } => Status::new(Look::Work, "work", "Running"),
        RunState::Finished { cause: why, .. } | RunState::Refused { cause: why, .. } => cause(why),
        RunState::Invalid { .. } => Status::new(Look::Fail, "refuse", "Invalid"),
    }
}

/// Where a step stands.
pub(super) fn step(state: &StepState) -> Status {
    match state {
        StepState::Blocked => Status::new(Look::Idle, "queue", "Blocked"),
        StepState::Ready { .. } => Status::new(Look::Idle, "queue", "Queued"),
        StepState::Leased(_) => Status::new(Look::Work, "work", "Running"),
        StepState::Reported { .. } => Status::new(Look::Work, "work", "Checking"),
        StepState::Finished { cause: why, .. } | StepState::Skipped { cause: why, .. } => {
            cause(why)
        }
    }
}

/// What there is to say of a step besides its word.
pub(super) fn said(state: &StepState, phase: Option<&str>) -> String {
    match state {
        StepState::Finished { cause, .. } | StepState::Skipped { cause, .. } => detail(cause),
        StepState::Leased(_) => phase.unwrap_or("Started").to_owned(),
        StepState::Blocked => "Waits for the steps that it needs".to_owned(),
        StepState::Ready { .. } => "Waits for a worker".to_owned(),
        StepState::Reported { .. } => "The worker is done; its report is being checked".to_owned(),
    }
}

/// Where a run stands, by its stored words.
pub(super) fn stored_run(state: &str, cause_word: Option<&str>, detail: Option<&str>) -> Status {
    let why = cause_word.and_then(|word| {
        let detail = detail.map(str::to_owned);
        Cause::stored(word, detail)
    });
    match (state, why) {
        (_, Some(why)) => cause(&why),
        ("waiting", None) => Status::new(Look::Idle, "queue", "Queued"),
        ("running", None) => Status::new(Look::Work, "work", "Running"),
        ("invalid", None) => Status::new(Look::Fail, "refuse", "Invalid"),
        (_, None) => Status::new(Look::Idle, "warn", "Unknown"),
    }
}

/// Where a promotion stands, by its stored word.
pub(super) fn stored_promotion(state: &str) -> Status {
    match state {
        "requested" => Status::new(Look::Idle, "queue", "Requested"),
        "waiting" => Status::new(Look::Wait, "unmet", "Waiting"),
        "applying" => Status::new(Look::Work, "work", "Applying"),
        "applied" => Status::new(Look::Pass, "pass", "Applied"),
        "failed" => Status::new(Look::Fail, "fail", "Failed"),
        "void" => Status::new(Look::Idle, "refuse", "Void"),
        "superseded" => Status::new(Look::Idle, "skip", "Superseded"),
        _ => Status::new(Look::Idle, "warn", "Unknown"),
    }
}

/// How bad a finding is, by its stored word.
pub(super) fn severity(word: &str) -> Status {
    match word {
        "critical" => Status::new(Look::Fail, "sev4", "Critical"),
        "high" => Status::new(Look::Fail, "sev3", "High"),
        "medium" => Status::new(Look::Wait, "sev2", "Medium"),
        "low" => Status::new(Look::Idle, "sev1", "Low"),
        "note" => Status::new(Look::Idle, "sev1", "Note"),
        _ => Status::new(Look::Fail, "unmet", "Unknown"),
    }
}

/// An address as people write it: IPv4 where it is one.
pub(super) fn address(address: std::net::Ipv6Addr) -> String {
    match address.to_ipv4_mapped() {
        Some(v4) => v4.to_string(),
        None => address.to_string(),
    }
}

/// The reason of a refusal, by its stored word.
pub(super) fn refusal(word: &str) -> Option<RefusalReason> {
    RefusalReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == word)
}

/// What is known of the signature of a refused request.
pub(super) fn refused_signature(reason: Option<RefusalReason>) -> Status {
    use RefusalReason as R;
    match reason {
        Some(R::SignatureWrong) => Status::new(Look::Fail, "fail", "Wrong"),
        Some(R::SignatureMissing) => Status::new(Look::Fail, "fail", "Missing"),
        Some(R::SignatureMalformed) => Status::new(Look::Fail, "fail", "Malformed"),
        Some(R::TimestampOutside) => Status::new(Look::Fail, "clock", "Outside its time"),
        // These are found only after the signature held.
        Some(R::BodyEmpty | R::DeliveryIdMalformed | R::IdReused) => {
            Status::new(Look::Pass, "pass", "Valid")
        }
        Some(R::UnknownHook | R::BodyTooLarge | R::BodyTruncated | R::Overloaded | R::Other)
        | None => Status::new(Look::Idle, "skip", "Not checked"),
    }
}

/// Why a request was refused, in a sentence.
pub(super) fn refusal_words(reason: RefusalReason) -> &'static str {
    use RefusalReason as R;
    match reason {
        R::UnknownHook => "There is no such hook, or it is switched off.",
        R::SignatureMissing => "No signature came with it.",
        R::SignatureMalformed => "Its signature came twice, empty, or in another form.",
        R::SignatureWrong => "Its signature is not of this body and a secret of this hook.",
        R::TimestampOutside => "Its signed time is too far from this server's clock.",
        R::BodyTooLarge => "Its body is larger than this server takes.",
        R::BodyTruncated => "Its body did not come whole, or not in time.",
        R::BodyEmpty => "There was nothing in it.",
        R::DeliveryIdMalformed => "It named no delivery id or event that can be one.",
        R::IdReused => "Another body came under this delivery id before.",
        R::Overloaded => "Too many bodies came at once to be held; it can be sent again.",
        R::Other => "More kinds of refusals came in this minute than are told apart.",
    }
}
