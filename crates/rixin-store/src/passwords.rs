//! Passwords of members: Argon2id with 19 MiB, two passes and one lane, as OWASP's cheat sheet on the storage of passwords has it.
//! A hash takes some 20 ms of a core and its memory, so it is made off the async threads, few at a time.

use std::sync::LazyLock;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::Error;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes that are made at the same time: 76 MiB.
const AT_ONCE: usize = 4;
/// Lengths of passwords: characters at least, bytes at most.
const SHORTEST: usize = 10;
const LONGEST: usize = 256;

static ROOM: Semaphore = Semaphore::const_new(AT_ONCE);

/// What the password of a name that nobody has is compared with, so that it takes as long.
static NOBODY: LazyLock<String> = LazyLock::new(|| make("a password that nobody has").unwrap_or_default());

fn argon() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn make(password: &str) -> Result<String, String> {
    let hash = argon()?.hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// The parameters are those that the stored hash names.
fn fits(password: &str, stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else { return false };
    argon().is_ok_and(|argon| argon.verify_password(password.as_bytes(), &stored).is_ok())
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let failed = |why: String| Error::Database { path: "argon2".into(), why };
    let _room = ROOM.acquire().await.map_err(|error| failed(error.to_string()))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.to_string()))
}

/// The text to store of a new password.
///
/// # Errors
/// It is too short, too long, or the name.
pub(crate) async fn hashed(password: &str, name: &str) -> Result<String, Error> {
    let (short, long) = (password.chars().count() < SHORTEST, password.len() > LONGEST);
    if short || long || password.trim() != password {
        return Err(Error::Invalid {
            param: "password",
            en: "a password has at least 10 characters and at most 256 bytes, without blanks around it",
            zh: "密码至少 10 个字符、至多 256 字节，首尾不含空白",
        });
    }
    if password.eq_ignore_ascii_case(name) {
        return Err(Error::Invalid {
            param: "password",
            en: "a password is not the name",
            zh: "密码不能与名称相同",
        });
    }
    let password = password.to_owned();
    apart(move || make(&password)).await?.map_err(|why| Error::Database { path: "argon2".into(), why })
}

/// Whether a password is the stored one. It takes the same time where there is none.
pub(crate) async fn verified(password: &str, stored: Option<String>) -> Result<bool, Error> {
    if password.len() > LONGEST {
        return Ok(false);
    }
    let password = password.to_owned();
    apart(move || match stored {
        Some(stored) => fits(&password, &stored),
        None => {
            fits(&password, &NOBODY);
            false
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_alone() {
        let stored = hashed("correct horse battery", "li").await.expect("hashed");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verified("correct horse battery", Some(stored.clone())).await.expect("works"));
        assert!(!verified("correct horse batterz", Some(stored.clone())).await.expect("works"));
        assert!(!verified("a password that nobody has", None).await.expect("works"));
        assert_ne!(stored, hashed("correct horse battery", "li").await.expect("hashed"), "each has its salt");
        for bad in ["short", " blanks around ", "xiaolixiaoli", &"长".repeat(86)] {
            assert!(hashed(bad, "XiaoLiXiaoLi").await.is_err(), "{bad}");
        }
    }
}
