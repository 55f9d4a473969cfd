//! Whether an open promotion waits for one person's answer. Cheaper than a judgement: it reads who may
//! answer and who has, not the evidence.

use super::state::{Promotion, PromotionError};
use super::store;
use super::subject::subject;
use crate::clock::At;
use crate::db::Conn;
use crate::identity::{PersonId, Reach};
use crate::{approval, gate};
use evidence::approval::Answer;

/// Open promotions that are looked at: a page names the oldest, and nobody answers more in a day.
const OPEN_MAX: i64 = 50;

/// The open promotions of these projects that wait for this person's answer, and those that wait for
/// somebody or something else; both oldest first.
pub async fn asking(
    conn: &mut Conn,
    person: Option<&PersonId>,
    reach: &Reach,
    now: At,
) -> Result<(Vec<Promotion>, Vec<Promotion>), PromotionError> {
    let (mut mine, mut others) = (Vec::new(), Vec::new());
    for promotion in store::open_in(conn, reach, OPEN_MAX).await? {
        let asks = match person {
            Some(person) => asks(conn, &promotion, person, now).await?,
            None => false,
        };
        if asks {
            mine.push(promotion);
        } else {
            others.push(promotion);
        }
    }
    Ok((mine, others))
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
