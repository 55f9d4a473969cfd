//! People with roles, each at a browser of their own.

use crate::orchestrator::Orchestrator;
use crate::visitor::Visitor;
use ::orchestrator::identity::{self, Actor, AddOutcome, Grant, NewPerson, PersonId, Role};
use anyhow::bail;
use contract::name::Name;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// A page as it came.
#[derive(Debug)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Its text.
    pub text: String,
}

/// A signed-in person.
pub struct Browser {
    /// Who.
    pub person: PersonId,
    visitor: Visitor,
}

impl Browser {
    /// Adds a person with these roles (of one project by its id, or of all) and signs them in.
    pub async fn of(
        house: &Orchestrator,
        name: &str,
        roles: &[(Role, Option<&str>)],
    ) -> anyhow::Result<Self> {
        let grant = |(role, project): &(Role, Option<&str>)| Grant {
            role: *role,
            project_id: project.map(str::to_owned),
        };
        let new = NewPerson {
            name: Name::parse(name)?,
            display_name: name.to_owned(),
            email: Some(format!("{name}@shop.example")),
            grants: roles.iter().map(grant).collect(),
            password: PASSWORD.to_owned().into(),
        };
        let app = house.app();
        let added = identity::add(&app.ground, &app.passwords, &Actor::System, new).await?;
        let AddOutcome::Added(person) = added else {
            bail!("{added:?}");
        };
        let base = &app.config.server.public_url;
        let visitor = Visitor::sign_in(base, name, PASSWORD).await?;
        Ok(Self { person, visitor })
    }

    /// Opens a page.
    pub async fn open(&self, path: &str) -> anyhow::Result<Page> {
        page(self.visitor.get(path).await?).await
    }

    /// Sends a form of this session.
    pub async fn send(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        page(self.visitor.send("/", path, fields).await?).await
    }
}

async fn page(answer: reqwest::Response) -> anyhow::Result<Page> {
    Ok(Page {
        status: answer.status().as_u16(),
        text: answer.text().await?,
    })
}

/// What stands between two texts, the first time.
pub fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found)
}
