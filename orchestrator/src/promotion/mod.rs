//! One release entering one environment.
//!
//! *Comes in*: releases, requests of people and of the rule, withdrawals, answers, an administrator's giving up.
//! *Goes out*: exactly the approved digests in the environment's repositories, signed for that
//! reference, tagged last; what is in each environment.
//! *Owns*: `promotion`, `environment_release`; `signature` rows for an environment's reference.
//! *Never*: a copy without a [`GatePassed`](crate::gate::GatePassed) written in the same transaction
//! as its intent; a tag before everything else was read back and its gate was asked again.
//! *Before / After*: `gate` / nothing.

mod advance;
mod answer;
mod apply;
mod asks;
mod authorise;
mod fail;
mod give_up;
mod judge_again;
mod learn;
mod reason;
mod reconcile;
mod request;
mod rule;
mod state;
mod store;
#[cfg(test)]
mod stories;
mod subject;
mod withdraw;

pub use answer::{AnswerOutcome, Asked, answer};
pub use asks::asking;
pub use authorise::{judge, judge_in};
pub use give_up::{GiveUpOutcome, give_up};
pub use reconcile::pass;
pub use request::{RequestOutcome, request};
pub use rule::is_left_to_people;
pub use state::{
    GiveUp, Hands, InvalidTransition, Promotion, PromotionError, PromotionId, PromotionState,
};
pub use store::{
    Placed, by_id, ended_in, environment_history, in_environment, in_environments, of_project,
    open_by_state, open_of_project, waiting_everywhere,
};
pub use withdraw::{WithdrawOutcome, withdraw};
