//! `sallyport init`: mints the instance, its keys and the first administrator.

use super::state::{Instance, InstanceError};
use super::{keys, store};
use crate::audit::{self, Record};
use crate::config::Config;
use crate::ground::Ground;
use crate::identity::{self, Actor, AddOutcome, Grant, NewPerson, Passwords, Role};
use crate::signing::PublicKey;
use crate::vault::MasterKey;
use contract::name::Name;
use zeroize::Zeroizing;

/// Who administers first.
pub struct FirstAdmin {
    /// The name that they sign in with.
    pub name: Name,
    /// An address that is theirs.
    pub email: Option<String>,
    /// Their password.
    pub password: Zeroizing<String>,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitOutcome {
    /// The instance is there.
    Made(Instance),
    /// It was there already; nothing was changed.
    AlreadyMade(Instance),
    /// The administrator could not be added; mend that and run it again.
    Admin(AddOutcome),
}

/// Makes the instance. Keys and certificates come first and are kept when they are there; the row
/// that says "made" comes last: a crash in between is mended by running it again.
pub async fn init(
    ground: &Ground,
    config: &Config,
    master: &MasterKey,
    signer_keys: Vec<PublicKey>,
    admin: FirstAdmin,
) -> Result<InitOutcome, InstanceError> {
    if let Some(made) = store::instance(&mut ground.db.reader().await?).await? {
        return Ok(InitOutcome::AlreadyMade(made));
    }
    let instance = Instance {
        id: ground.ids.uuid().to_string(),
        public_url: config.server.public_url.clone(),
        log_origin: format!("{}/log", config.public_host()),
    };
    let data_dir = &config.server.data_dir;
    let mut public = keys::make(data_dir, master, &instance.id, ground.now(), &*ground.ids)?;
    public.extend(signer_keys);
    let new = NewPerson {
        display_name: admin.name.to_string(),
        name: admin.name,
        email: admin.email,
        grants: vec![Grant {
            role: Role::Admin,
            project_id: None,
        }],
        password: admin.password,
    };
    let actor = Actor::Host {
        uid: nix::unistd::getuid().as_raw(),
    };
    match identity::add(ground, &Passwords::new().await?, &actor, new).await? {
        // A name that is taken is the administrator of an init that was cut off after this.
        AddOutcome::Added(_) | AddOutcome::NameTaken => {}
        refused @ (AddOutcome::EmailTaken | AddOutcome::PasswordLength { .. }) => {
            return Ok(InitOutcome::Admin(refused));
        }
    }
    write(ground, &actor, instance.clone(), public).await?;
    Ok(InitOutcome::Made(instance))
}

async fn write(
    ground: &Ground,
    actor: &Actor,
    instance: Instance,
    public: Vec<PublicKey>,
) -> Result<(), InstanceError> {
    let mut rows = Vec::with_capacity(public.len());
    for key in public {
        let spki = key
            .spki()
            .map_err(|e| InstanceError::Public(e.to_string()))?;
        rows.push((key.id.clone(), key.role.as_str(), spki));
    }
    let (at, ids, actor) = (ground.now(), ground.ids.clone(), actor.clone());
    ground
        .db
        .write("instance.init", move |conn| {
            Box::pin(async move {
                store::insert_instance(conn, &instance, at).await?;
                for (id, role, spki) in &rows {
                    store::insert_key(conn, id, role, spki, at).await?;
                }
                let keys: Vec<String> = rows
                    .iter()
                    .map(|(id, role, _)| format!("{role}:{id}"))
                    .collect();
                let subject = format!("instance:{}", instance.id);
                let record = Record::new("instance.made", subject, &actor)
                    .with("public-url", instance.public_url)
                    .with("keys", keys);
                audit::append(conn, at, &*ids, record).await?;
                Ok::<(), InstanceError>(())
            })
        })
        .await
}
