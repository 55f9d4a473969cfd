//! Roles and what they permit. The one table of rights.

use std::fmt;

/// A role, granted for one project or for all.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, runs again, cancels, requests promotions.
    Developer,
    /// Requests, approves and rejects promotions.
    ReleaseManager,
    /// Sees everything, deliveries' payloads too.
    Auditor,
    /// Sets things up; never approves by this role.
    Admin,
}

/// Something that one may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See the project: runs, findings, environments, deliveries.
    See,
    /// See a delivery's payload and full headers.
    SeePayload,
    /// Run again and cancel.
    Run,
    /// Request a promotion.
    Request,
    /// Approve or reject one.
    Approve,
    /// Settings, hooks, people, workers, advisories.
    Administer,
}

impl Role {
    /// All roles, for messages.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Developer,
        Self::ReleaseManager,
        Self::Auditor,
        Self::Admin,
    ];

    /// The word that settings, the command line and the database use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::ReleaseManager => "release-manager",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Parses the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What the role permits.
    pub fn permits(self, permission: Permission) -> bool {
        match permission {
            Permission::See => true,
            Permission::SeePayload => matches!(self, Self::Auditor | Self::Admin),
            Permission::Run => matches!(self, Self::Developer | Self::ReleaseManager | Self::Admin),
            Permission::Request => {
                matches!(self, Self::Developer | Self::ReleaseManager | Self::Admin)
            }
            Permission::Approve => self == Self::ReleaseManager,
            Permission::Administer => self == Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A role for one project, or for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The project's id; none is all projects.
    pub project_id: Option<String>,
}

impl Grant {
    /// Whether it says anything about this project.
    pub fn covers(&self, project_id: &str) -> bool {
        self.project_id
            .as_deref()
            .is_none_or(|own| own == project_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administrator_sets_up_and_never_approves() {
        assert!(Role::Admin.permits(Permission::Administer));
        assert!(!Role::Admin.permits(Permission::Approve));
        let approvers: Vec<Role> = Role::ALL
            .into_iter()
            .filter(|role| role.permits(Permission::Approve))
            .collect();
        assert_eq!(approvers, [Role::ReleaseManager]);
    }

    #[test]
    fn every_role_reads_back_as_its_word() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
    }
}
