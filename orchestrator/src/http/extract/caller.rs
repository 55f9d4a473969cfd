//! Who calls the API: a bearer token, or a user of this host at `admin.sock`.

use crate::app::App;
use crate::http::problem::{Code, Problem};
use crate::identity::{self, Caller, Permission};
use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;
use std::sync::Arc;

/// The uid at the other end of `admin.sock`; only that entrance sets it.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its uid.
    pub uid: u32,
}

/// An authenticated caller of the API.
pub struct ApiCaller(pub Caller);

impl ApiCaller {
    /// Refuses unless they may do this everywhere.
    pub fn must_everywhere(&self, permission: Permission) -> Result<(), Problem> {
        if self.0.may_everywhere(permission) {
            Ok(())
        } else {
            Err(not_permitted())
        }
    }

    /// Refuses unless they may do this in this project; one that they may not even see does not
    /// exist for them.
    pub fn must(&self, permission: Permission, project_id: &str) -> Result<(), Problem> {
        if !self.0.may(Permission::See, project_id) {
            return Err(Problem::not_found());
        }
        if self.0.may(permission, project_id) {
            Ok(())
        } else {
            Err(not_permitted())
        }
    }
}

fn not_permitted() -> Problem {
    Problem::new(Code::NotPermitted, "your roles do not permit this")
}

impl FromRequestParts<Arc<App>> for ApiCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        if let Some(peer) = parts.extensions.get::<Peer>() {
            return Ok(Self(Caller::host(peer.uid)));
        }
        let refused = || {
            Problem::new(
                Code::NotSignedIn,
                "give `Authorization: Bearer <token>`; `sallyport user token` makes one",
            )
        };
        let value = parts
            .headers
            .get(header::AUTHORIZATION)
            .ok_or_else(refused)?;
        let token = value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "));
        let found = identity::of_token(&app.ground, token.ok_or_else(refused)?).await;
        match found.map_err(|error| Problem::internal(&error))? {
            Some(caller) => Ok(Self(caller)),
            None => Err(refused()),
        }
    }
}
