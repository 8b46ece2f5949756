//! Passwords: argon2id with its own salt each; tokens: 256 random bits, kept as their SHA-256.

use super::error::{Result, StoreError};
use crate::protocol::random::Random;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};

/// Takes tens of milliseconds and 19 MiB: never on a thread that has other things to do.
pub(super) fn hash(password: &str) -> Result<String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| StoreError::Bug(error.to_string()))
}

/// Whether `password` is the one of `hash`. Takes as long when there is no such person.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    match hash.map(PasswordHash::new) {
        Some(Ok(hash)) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Some(Err(_)) | None => {
            let _ = Argon2::default().hash_password(password.as_bytes());
            false
        }
    }
}

pub(super) fn token(random: &mut Random) -> String {
    hex::encode(random.bytes::<32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_only() {
        let kept = hash("值班-2026").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456"), "{kept}");
        assert!(verify("值班-2026", Some(&kept)));
        assert!(!verify("值班-2027", Some(&kept)));
        assert!(!verify("值班-2026", None));
        assert!(!verify("值班-2026", Some("nonsense")));
        assert_ne!(kept, hash("值班-2026").unwrap(), "each has its own salt");
    }
}
