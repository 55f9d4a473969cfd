//! The words and shapes of states: one place, so that a state looks the same everywhere.

use super::{Look, Status};
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
