//! Whether an open promotion waits for one person's answer. Cheaper than a judgement: it reads who may
//! answer and who has, not the evidence.

use super::state::{Promotion, PromotionError};
use super::store;
use super::subject::subject;
use crate::clock::At;
use crate::db::Conn;
use crate::identity::{PersonId, Reach};
use crate::{approval, gate, project};
use evidence::approval::Answer;
use std::collections::{BTreeSet, HashMap};

/// Open promotions that are looked at. Far above what waits anywhere: what only waits for a commit that
/// mends it piles up, and must not hide what waits for an answer.
const OPEN_MAX: i64 = 2_000;
/// Of each kind so many are named: nobody answers more in a day.
const NAMED_MAX: usize = 50;

/// The open promotions of these projects that wait for this person's answer, and those that wait for
/// somebody or something else; the oldest of both, oldest first.
pub async fn asking(
    conn: &mut Conn,
    person: Option<&PersonId>,
    reach: &Reach,
    now: At,
) -> Result<(Vec<Promotion>, Vec<Promotion>), PromotionError> {
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    let mut asking = Asking::default();
    for promotion in store::open_in(conn, reach, OPEN_MAX).await? {
        let asks = match person {
            Some(person) if mine.len() < NAMED_MAX && asking.people(conn, &promotion).await? => {
                asks(conn, &promotion, person, now).await?
            }
            Some(_) | None => false,
        };
        if asks {
            mine.push(promotion);
        } else if others.len() < NAMED_MAX {
            others.push(promotion);
        }
    }
    Ok((mine, others))
}

/// Which environments' gates ask people at all, read once a project.
#[derive(Default)]
struct Asking(HashMap<String, BTreeSet<String>>);

impl Asking {
    async fn people(
        &mut self,
        conn: &mut Conn,
        promotion: &Promotion,
    ) -> Result<bool, PromotionError> {
        let project = &promotion.project_id;
        if !self.0.contains_key(project) {
            let settings = project::current_settings(conn, project).await?;
            let environments = settings.map(|found| found.settings.environments);
            let asking = environments.into_iter().flatten();
            let asking = asking.filter(|environment| !environment.gate.approvals.is_empty());
            let names = asking.map(|environment| environment.name.to_string());
            self.0.insert(project.clone(), names.collect());
        }
        let names = self.0.get(project);
        Ok(names.is_some_and(|names| names.contains(promotion.environment.as_str())))
    }
}

/// An answer whose evidence has changed still counts as given here, until the pass makes it void.
async fn asks(
    conn: &mut Conn,
    promotion: &Promotion,
    person: &PersonId,
    now: At,
) -> Result<bool, PromotionError> {
    let Some(subject) = subject(conn, promotion).await? else {
        return Ok(false);
    };
    let seats = gate::seats_now(conn, &subject).await?;
    if !seats.may(person) {
        return Ok(false);
    }
    let mut given = approval::standing(conn, promotion.id.as_str()).await?;
    given.retain(|one| now.0 < one.statement.expires_at);
    let decided = given
        .iter()
        .any(|one| one.person == *person || one.statement.answer == Answer::Reject);
    let yes = given.iter().filter(|one| seats.may(&one.person)).count();
    let required = usize::try_from(seats.required()).unwrap_or(usize::MAX);
    Ok(!decided && yes < required)
}
