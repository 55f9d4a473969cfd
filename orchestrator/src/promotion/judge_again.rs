//! Asks the gate of a promotion again that it had let through: evidence has to be true when the first tag is
//! written, and between the decision and that a registry may have been away for days.
//!
//! What is only not met yet, and will be by itself, is waited for, with no tag written meanwhile: an import
//! of advisories, after which everything is judged again, ends nothing. What is no longer let through fails
//! with its reasons, before anything is signed for the environment when it is seen so early. Its answers
//! stay used: whoever wants it all the same requests it anew, and people look at it as it is now.

use super::advance::advance;
use super::fail::fail;
use super::state::{Event, Promotion, PromotionError, PromotionState};
use super::store;
use super::subject::subject;
use crate::db::Conn;
use crate::gate::{self, Since};
use crate::ground::Ground;
use crate::reconcile::Progress;
use evidence::decision::Decision;

/// What the gate says now.
enum Verdict {
    /// It would still let it through, by this version of the settings.
    Open { settings_version: i64 },
    /// It will again by itself: what it waits for.
    Waits(String),
    /// It would not: why.
    Closed(String),
}

/// Ends it when its gate no longer lets it through, and keeps it where it is while that only waits; none when
/// it goes on.
pub(super) async fn stop_if_closed(
    ground: &Ground,
    promotion: &Promotion,
    decision: &Decision,
) -> Result<Option<Progress>, PromotionError> {
    let mut conn = ground.db.reader().await?;
    match judge(&mut conn, ground, promotion, decision).await? {
        Verdict::Open { .. } => return Ok(None),
        Verdict::Waits(_) | Verdict::Closed(_) => drop(conn),
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
                Verdict::Waits(what) => stay(conn, &promotion, &what).await,
                Verdict::Closed(why) => stop(conn, &ground_in, &promotion, &why).await,
            }
        })
    });
    ended.await.map(Some)
}

/// Writes down, before the first tag is written, that tags may be there from now on, in the transaction in
/// which the gate still lets it through. None when that stands; otherwise it has ended, waits for
/// what its gate waits for, or others were faster.
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
                    Verdict::Waits(what) => stay(conn, &promotion, &what).await.map(Some),
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
    let since = gate::closed_since(conn, &subject, decision, ground.now()).await?;
    Ok(match since {
        Since::Open => Verdict::Open {
            settings_version: subject.settings_version,
        },
        Since::Waits(what) => Verdict::Waits(what.join("; ")),
        Since::Closed(why) => Verdict::Closed(why.join("; ")),
    })
}

/// Nothing is tagged, and people read why; the next pass asks again.
async fn stay(
    conn: &mut Conn,
    promotion: &Promotion,
    what: &str,
) -> Result<Progress, PromotionError> {
    let text = format!(
        "its gate waits again for what is met by itself ({what}); no tag is written before"
    );
    store::set_progress(conn, &promotion.id, &text).await?;
    Ok(Progress::Idle)
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
