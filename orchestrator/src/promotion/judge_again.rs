//! Asks the gate of a promotion again that it had let through: evidence has to be true when the first tag is
//! written, and between the decision and that a registry may have been away for days.
//!
//! What is no longer let through fails with its reasons, before anything is signed for the environment when
//! it is seen so early. Its answers stay used: whoever wants it all the same requests it anew, and people
//! look at it as it is now.

use super::advance::advance;
use super::fail::fail;
use super::state::{Event, Promotion, PromotionError, PromotionState};
use super::store;
use super::subject::subject;
use crate::db::Conn;
use crate::gate;
use crate::ground::Ground;
use crate::reconcile::Progress;
use evidence::decision::Decision;

/// What the gate says now.
enum Verdict {
    /// It would still let it through, by this version of the settings.
    Open { settings_version: i64 },
    /// It would not: why.
    Closed(String),
}

/// Ends it when its gate no longer lets it through; none when it goes on.
pub(super) async fn stop_if_closed(
    ground: &Ground,
    promotion: &Promotion,
    decision: &Decision,
) -> Result<Option<Progress>, PromotionError> {
    let mut conn = ground.db.reader().await?;
    match judge(&mut conn, ground, promotion, decision).await? {
        Verdict::Open { .. } => return Ok(None),
        Verdict::Closed(_) => drop(conn),
    }
    let (ground_in, id, decision) = (ground.clone(), promotion.id.clone(), decision.clone());
    let ended = ground.db.write("promotion.stop", move |conn| {
        Box::pin(async move {
            let Some(promotion) = store::by_id(conn, &id).await? else {
                return Ok(Progress::Idle);
            };
            match judge(conn, &ground_in, &promotion, &decision).await? {
                // It has opened in between: the next pass goes on.
                Verdict::Open { .. } => Ok(Progress::Idle),
                Verdict::Closed(why) => stop(conn, &ground_in, &promotion, &why).await,
            }
        })
    });
    ended.await.map(Some)
}

/// Writes down, before the first tag is written, that tags may be there from now on, in the transaction in
/// which the gate still lets it through. None when that stands; otherwise it has ended, or others were
/// faster.
pub(super) async fn begin_tags(
    ground: &Ground,
    promotion: &Promotion,
    decision: &Decision,
) -> Result<Option<Progress>, PromotionError> {
    let (ground_in, id, decision) = (ground.clone(), promotion.id.clone(), decision.clone());
    ground
        .db
        .write("promotion.tagging", move |conn| {
            Box::pin(async move {
                let Some(promotion) = store::by_id(conn, &id).await? else {
                    return Ok(Some(Progress::Idle));
                };
                if let PromotionState::Applying {
                    tagging_since: Some(_),
                    ..
                } = promotion.state
                {
                    return Ok(None);
                }
                match judge(conn, &ground_in, &promotion, &decision).await? {
                    Verdict::Open { settings_version } => {
                        let event = Event::Tagging {
                            at: ground_in.now().0,
                        };
                        let begun = advance(conn, &promotion, event, settings_version).await?;
                        Ok((!begun).then_some(Progress::Idle))
                    }
                    Verdict::Closed(why) => {
                        stop(conn, &ground_in, &promotion, &why).await.map(Some)
                    }
                }
            })
        })
        .await
}

async fn judge(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    decision: &Decision,
) -> Result<Verdict, PromotionError> {
    let Some(subject) = subject(conn, promotion).await? else {
        return Ok(Verdict::Closed(
            "the environment is no longer in the settings".to_owned(),
        ));
    };
    let why = gate::closed_since(conn, &subject, decision, ground.now()).await?;
    Ok(if why.is_empty() {
        Verdict::Open {
            settings_version: subject.settings_version,
        }
    } else {
        Verdict::Closed(why.join("; "))
    })
}

async fn stop(
    conn: &mut Conn,
    ground: &Ground,
    promotion: &Promotion,
    why: &str,
) -> Result<Progress, PromotionError> {
    let why = format!("its gate has closed since it let it through ({why})");
    Ok(match fail(conn, ground, promotion, &why).await? {
        true => Progress::Moved,
        false => Progress::Idle,
    })
}
