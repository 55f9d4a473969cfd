//! A person's answer and its states.

use crate::identity::PersonId;
use evidence::approval::Approval as Statement;

crate::id_type!(
    /// An answer.
    ApprovalId
);

/// One answer.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Who gave it.
    pub person: PersonId,
    /// What they said yes or no to, read from the stored bytes.
    pub statement: Statement,
    /// The stored bytes.
    pub bytes: Vec<u8>,
    /// Whether it still says something.
    pub state: ApprovalState,
}

/// Where an answer stands. Times are µs since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// It was given, and says so until something else happens.
    Standing,
    /// A gate let through on it: it opens no other.
    Used {
        /// When.
        at: i64,
    },
    /// What it was about has changed, or it has expired.
    Void {
        /// When that was seen.
        at: i64,
        /// Why.
        reason: String,
    },
}

/// What happens to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalEvent {
    /// A gate lets through on it.
    Use {
        /// When.
        at: i64,
    },
    /// It says nothing any more.
    End {
        /// When.
        at: i64,
        /// Why.
        reason: String,
    },
}

/// The event does not fit the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer is used or ended once")]
pub struct InvalidTransition;

impl ApprovalState {
    /// What comes of an event.
    pub fn after(self, event: ApprovalEvent) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Standing, ApprovalEvent::Use { at }) => Ok(Self::Used { at }),
            (Self::Standing, ApprovalEvent::End { at, reason }) => Ok(Self::Void { at, reason }),
            (
                Self::Used { .. } | Self::Void { .. },
                ApprovalEvent::Use { .. } | ApprovalEvent::End { .. },
            ) => Err(InvalidTransition),
        }
    }
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The database.
    #[error("read or write approvals")]
    Db(#[from] crate::db::Error),
    /// The statement has no bytes.
    #[error("write an approval's statement")]
    Statement(#[from] evidence::approval::InvalidApproval),
    /// It is not in a state for this.
    #[error("use or end approval {id}")]
    Transition {
        /// Which.
        id: ApprovalId,
        /// Why.
        #[source]
        source: InvalidTransition,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_state() {
        let used = |at| ApprovalState::Used { at };
        let void = |at| ApprovalState::Void {
            at,
            reason: "it has expired".to_owned(),
        };
        let end = || ApprovalEvent::End {
            at: 2,
            reason: "it has expired".to_owned(),
        };
        let table = [
            (
                ApprovalState::Standing,
                ApprovalEvent::Use { at: 2 },
                Ok(used(2)),
            ),
            (ApprovalState::Standing, end(), Ok(void(2))),
            (
                used(1),
                ApprovalEvent::Use { at: 2 },
                Err(InvalidTransition),
            ),
            (used(1), end(), Err(InvalidTransition)),
            (
                void(1),
                ApprovalEvent::Use { at: 2 },
                Err(InvalidTransition),
            ),
            (void(1), end(), Err(InvalidTransition)),
        ];
        for (state, event, wanted) in table {
            assert_eq!(
                state.clone().after(event.clone()),
                wanted,
                "{state:?} {event:?}"
            );
        }
    }
}
