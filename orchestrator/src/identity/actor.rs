//! Whoever does something: every act stores its actor (DECISIONS 15).

use std::fmt;

crate::id_type!(
    /// A person.
    PersonId
);

/// Whoever does something, and by what way they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person, signed in on a page: nobody else approves.
    Person {
        /// Who.
        id: PersonId,
        /// Their name.
        name: String,
    },
    /// A token with a person's rights.
    Token {
        /// Its id.
        id: String,
        /// Whose rights it has.
        person: PersonId,
        /// Their name.
        name: String,
        /// Who holds it, as far as can be said.
        minted: Minted,
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

/// Who made a token, and so may hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Minted {
    /// The person whose rights it has.
    ByThemself,
    /// Somebody else, as stored: whoever acts by it cannot be matched to a person.
    By(String),
}

impl Actor {
    /// The person who did it, when it can be matched to one: four eyes count these. Acts by a token
    /// that another made for them are not known to be theirs.
    pub fn person(&self) -> Option<&PersonId> {
        match self {
            Self::Person { id, .. }
            | Self::Token {
                person: id,
                minted: Minted::ByThemself,
                ..
            } => Some(id),
            Self::Token {
                minted: Minted::By(_),
                ..
            }
            | Self::Worker { .. }
            | Self::Host { .. }
            | Self::Hook { .. }
            | Self::System => None,
        }
    }

    /// As stored in audit entries, for ever: people by their id. Who made a token stands in the entry about
    /// its making.
    pub fn audited(&self) -> String {
        match self {
            Self::Person { id, .. } => format!("person({id})"),
            Self::Token { id, person, .. } => format!("token({id}) of person({person})"),
            Self::Worker { .. } | Self::Host { .. } | Self::Hook { .. } | Self::System => {
                self.to_string()
            }
        }
    }
}

/// As stored in columns `…_by`, for people to read.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { name, .. } => write!(f, "person({name})"),
            Self::Token {
                id, name, minted, ..
            } => match minted {
                Minted::ByThemself => write!(f, "token({id}) of person({name})"),
                Minted::By(who) => write!(f, "token({id}) of person({name}) made by {who}"),
            },
            Self::Worker { name, .. } => write!(f, "worker({name})"),
            Self::Host { uid } => write!(f, "host({uid})"),
            Self::Hook { id } => write!(f, "hook({id})"),
            Self::System => f.write_str("system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_says_who_and_by_what_way_and_is_a_persons_only_when_that_is_known() {
        let mara = PersonId::parse("01990000-0000-7000-8000-000000000001").unwrap();
        let token = |minted| Actor::Token {
            id: "t".to_owned(),
            person: mara.clone(),
            name: "mara".to_owned(),
            minted,
        };
        let signed_in = Actor::Person {
            id: mara.clone(),
            name: "mara".to_owned(),
        };
        let table = [
            (signed_in, "person(mara)", true),
            (token(Minted::ByThemself), "token(t) of person(mara)", true),
            (
                token(Minted::By("host(0)".to_owned())),
                "token(t) of person(mara) made by host(0)",
                false,
            ),
            (Actor::Host { uid: 0 }, "host(0)", false),
            (Actor::System, "system", false),
        ];
        for (actor, text, is_hers) in table {
            assert_eq!(actor.to_string(), text);
            assert!(!actor.audited().contains("mara"), "{text}");
            assert_eq!(actor.person().is_some(), is_hers, "{text}");
        }
        let by_a_token = token(Minted::By("person(olga)".to_owned())).audited();
        assert_eq!(by_a_token, format!("token(t) of person({mara})"));
    }
}
