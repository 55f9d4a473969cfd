//! `POST /promotions/{id}/withdraw`: whoever asked for it takes it back.

use super::super::sign_in::Csrf;
use super::{PageError, found};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::http::problem::Code;
use crate::promotion::{self, WithdrawOutcome};
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;

/// Withdraws; back to the promotion.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Csrf>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(form.csrf()) {
        return Err(PageError::foreign_form());
    }
    let (promotion, _) = found(&app, &signed_in, &id).await?;
    let caller = &signed_in.session.caller;
    let outcome = promotion::withdraw(&app.ground, caller, &promotion.id).await;
    match outcome.map_err(PageError::log)? {
        WithdrawOutcome::Withdrawn => {
            app.bells.promotion.ring();
            Ok(Redirect::to(&format!("/promotions/{id}")).into_response())
        }
        WithdrawOutcome::NoSuchPromotion => Err(PageError::NotFound),
        WithdrawOutcome::NotTheirs => Err(PageError::NotPermitted(
            "Whoever requested a promotion may withdraw it, and nobody else.".to_owned(),
        )),
        WithdrawOutcome::NotOpen => Err(PageError::Conflict(
            Code::PromotionNotOpen,
            "This promotion waits no more: it is being applied, or has ended. Nothing was changed."
                .to_owned(),
        )),
    }
}
