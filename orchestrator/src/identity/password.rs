//! Passwords: argon2id, off the async threads, few at a time.

use super::IdentityError;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Hashes at once: each takes 19 MiB and a core for tens of milliseconds.
const AT_ONCE: usize = 2;
/// OWASP's second recommendation for argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// The shortest password that may be set (NIST SP 800-63B asks for 8; 12 for what guards prod).
pub(super) const PASSWORD_BYTES_MIN: usize = 12;
/// The longest one: argon2 takes more, hashing megabytes is a free denial of service.
pub(super) const PASSWORD_BYTES_MAX: usize = 256;

/// Makes and checks password hashes. Cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    /// What is checked when there is no such person, so that both take the same time.
    nobody: Arc<str>,
}

impl Passwords {
    /// Makes the hash that stands for nobody.
    pub async fn new() -> Result<Self, IdentityError> {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut passwords = Self {
            slots,
            nobody: Arc::from(""),
        };
        let nobody = passwords
            .hash(Zeroizing::new("nobody's password".to_owned()))
            .await?;
        passwords.nobody = Arc::from(nobody);
        Ok(passwords)
    }

    /// Hashes a password, in PHC form.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String, IdentityError> {
        self.off_thread(move || {
            let hashed = hasher()?.hash_password(password.as_bytes());
            hashed
                .map(|hash| hash.to_string())
                .map_err(|e| IdentityError::Hash(e.to_string()))
        })
        .await
    }

    /// Whether the password is the one; with no hash it takes as long and the answer is no.
    pub async fn verify(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, IdentityError> {
        let somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.to_string());
        let good = self
            .off_thread(move || {
                let parsed =
                    PasswordHash::new(&hash).map_err(|e| IdentityError::Hash(e.to_string()))?;
                Ok(hasher()?
                    .verify_password(password.as_bytes(), &parsed)
                    .is_ok())
            })
            .await?;
        Ok(good && somebody)
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let _slot = slot.map_err(|e| IdentityError::Hash(e.to_string()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| IdentityError::Hash(e.to_string()))?
    }
}

fn hasher() -> Result<Argon2<'static>, IdentityError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None);
    let params = params.map_err(|e| IdentityError::Hash(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_opens_its_own_hash_only() {
        let passwords = Passwords::new().await.unwrap();
        let text = |s: &str| Zeroizing::new(s.to_owned());
        let hash = passwords.hash(text("correct horse battery")).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify(text("correct horse battery"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(text("correct horse"), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(text("nobody's password"), None)
                .await
                .unwrap()
        );
    }
}
