//! Who calls, with what they may do: what the extractors of `http` hand to handlers.

use super::actor::Actor;
use super::role::{Grant, Permission, Role};
use std::collections::BTreeSet;

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

    /// A caller with just these grants, for stories.
    #[cfg(test)]
    pub(crate) fn with_grants(actor: Actor, name: &str, grants: Vec<Grant>) -> Self {
        Self::new(actor, name.to_owned(), grants)
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

    /// The projects in which they may do this.
    pub fn reach(&self, permission: Permission) -> Reach {
        let grants = self.grants.iter().filter(|g| g.role.permits(permission));
        let projects = grants.map(|g| g.project_id.clone());
        // One grant for all projects makes the whole `None`.
        Reach(projects.collect())
    }
}

/// The projects in which somebody may do something, for stores: what may not be seen is left out by
/// the statement that reads, never after its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach(Option<BTreeSet<String>>);

impl Reach {
    /// Whether it is no project at all.
    pub fn is_nowhere(&self) -> bool {
        self.0.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Whether it holds this project.
    pub fn holds(&self, project_id: &str) -> bool {
        self.0.as_ref().is_none_or(|some| some.contains(project_id))
    }

    /// As statements take it: `*`, or the ids between blanks, so that
    /// `$1 = '*' OR $1 LIKE '% ' || project_id || ' %'` is the same text on both databases.
    pub fn sql(&self) -> String {
        match &self.0 {
            None => "*".to_owned(),
            Some(some) => some.iter().fold(" ".to_owned(), |text, id| text + id + " "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(grants: &[(Role, Option<&str>)]) -> Caller {
        let grant = |(role, project): &(Role, Option<&str>)| Grant {
            role: *role,
            project_id: project.map(str::to_owned),
        };
        let grants = grants.iter().map(grant).collect();
        Caller::new(Actor::System, "x".to_owned(), grants)
    }

    #[test]
    fn who_has_no_grant_reaches_nothing() {
        let nobody = caller(&[]);
        assert!(nobody.reach(Permission::See).is_nowhere());
        assert_eq!(nobody.reach(Permission::See).sql(), " ");
    }

    #[test]
    fn grants_for_some_and_for_all_projects_are_told_apart() {
        let some = caller(&[(Role::Viewer, Some("a")), (Role::ReleaseManager, Some("b"))]);
        assert_eq!(some.reach(Permission::See).sql(), " a b ");
        assert_eq!(some.reach(Permission::Approve).sql(), " b ");
        assert!(some.reach(Permission::See).holds("a") && !some.reach(Permission::See).holds("c"));
        let all = caller(&[(Role::Viewer, Some("a")), (Role::Auditor, None)]);
        assert_eq!(all.reach(Permission::See).sql(), "*");
        assert!(all.reach(Permission::Approve).is_nowhere());
    }
}
