//! Who calls, with what they may do: what the extractors of `http` hand to handlers.

use super::actor::Actor;
use super::role::{Grant, Permission, Role};

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The name that people read.
    pub display_name: String,
    grants: Vec<Grant>,
}

impl Caller {
    pub(super) fn new(actor: Actor, display_name: String, grants: Vec<Grant>) -> Self {
        Self {
            actor,
            display_name,
            grants,
        }
    }

    /// A user of the host at `admin.sock`: an administrator of everything that can never approve.
    pub fn host(uid: u32) -> Self {
        let grants = vec![Grant {
            role: Role::Admin,
            project_id: None,
        }];
        Self::new(Actor::Host { uid }, format!("host({uid})"), grants)
    }

    /// Whether they may do this in this project.
    pub fn may(&self, permission: Permission, project_id: &str) -> bool {
        self.grants
            .iter()
            .any(|g| g.covers(project_id) && g.role.permits(permission))
    }

    /// Whether they may do this everywhere.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        self.grants
            .iter()
            .any(|g| g.project_id.is_none() && g.role.permits(permission))
    }

    /// Whether they hold this role in this project.
    pub fn has_role(&self, role: Role, project_id: &str) -> bool {
        self.grants
            .iter()
            .any(|g| g.covers(project_id) && g.role == role)
    }

    /// The projects that they may see: all of them (`None`), or these.
    pub fn visible_projects(&self) -> Option<Vec<&str>> {
        let mut some = Vec::new();
        for grant in &self.grants {
            some.push(grant.project_id.as_deref()?);
        }
        Some(some)
    }
}
