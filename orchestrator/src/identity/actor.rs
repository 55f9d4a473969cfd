//! Whoever does something: every act stores its actor (DECISIONS 15).

use std::fmt;

crate::id_type!(
    /// A person.
    PersonId
);

/// Whoever does something, and by what way they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person, signed in on a page or with a token of theirs.
    Person {
        /// Who.
        id: PersonId,
        /// Their name.
        name: String,
    },
    /// A worker, by its certificate.
    Worker {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
    },
    /// A user of the host, by their uid at `admin.sock`: an administrator that can never approve.
    Host {
        /// The uid.
        uid: u32,
    },
    /// A forge at one of our hooks.
    Hook {
        /// The hook.
        id: String,
    },
    /// This program itself.
    System,
}

impl Actor {
    /// The person, if it is one: only people approve.
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person { id, .. } => Some(id),
            Self::Worker { .. } | Self::Host { .. } | Self::Hook { .. } | Self::System => None,
        }
    }
}

/// As stored in columns `…_by` and in audit entries.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { name, .. } => write!(f, "person({name})"),
            Self::Worker { name, .. } => write!(f, "worker({name})"),
            Self::Host { uid } => write!(f, "host({uid})"),
            Self::Hook { id } => write!(f, "hook({id})"),
            Self::System => f.write_str("system"),
        }
    }
}
