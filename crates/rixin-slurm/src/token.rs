//! The token that says who asks: from a file that somebody renews, or from a command that is run again before the token ends.

use std::{
    fmt,
    path::PathBuf,
    process::Stdio,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::Engine;
use http::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{Error, Result};

/// The longest token that is read. JWTs of Slurm have some 150 bytes.
const TOKEN_MOST: usize = 16 << 10;
/// How long a token lives that is made here.
const LIFE: Duration = Duration::from_secs(1800);
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file with the token, or with `SLURM_JWT=` and the token. It is read again when it changes.
    File(PathBuf),
    /// A command and its arguments, whose output is as the file's. It is run again before the token ends.
    Command(Vec<String>),
    /// The cluster's own key (`jwt_key` of slurm.conf), with which tokens for this user are made here, HS256.
    Key {
        /// The key's file.
        path: PathBuf,
        /// The user whom they name.
        user: String,
    },
}

impl TokenSource {
    /// Reads `key:/PATH`, an absolute path, or a command. `user` is the one whom tokens name that are made here.
    pub fn parse(text: &str, user: &str) -> Result<Self> {
        match text.trim().strip_prefix("key:") {
            Some(path) if path.starts_with('/') => {
                Ok(TokenSource::Key { path: path.into(), user: user.to_owned() })
            }
            Some(_) => Err(Error::invalid(
                "slurm_token",
                "after key: stands an absolute path",
                "key: 之后应为绝对路径",
            )),
            None => text.parse(),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenSource::File(path) => write!(f, "{}", path.display()),
            TokenSource::Command(words) => write!(f, "`{}`", words.join(" ")),
            TokenSource::Key { path, .. } => write!(f, "key {}", path.display()),
        }
    }
}

impl FromStr for TokenSource {
    type Err = Error;
    /// An absolute path, or a command whose words are separated by spaces.
    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match words.as_slice() {
            [] => Err(Error::invalid(
                "slurm_token",
                "name a file with a token, or a command such as `scontrol token lifespan=3600`",
                "请指定令牌文件，或 `scontrol token lifespan=3600` 之类的命令",
            )),
            [path] if path.starts_with('/') => Ok(TokenSource::File(path.into())),
            _ => Ok(TokenSource::Command(words)),
        }
    }
}

/// A token in use. Its text is never shown.
#[derive(Clone, PartialEq)]
pub(crate) struct Token {
    value: HeaderValue,
    /// From the token itself, where it says so.
    expires: Option<SystemTime>,
    obtained: SystemTime,
    /// The file's time and length.
    stamp: Option<(SystemTime, u64)>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

impl Token {
    fn of(text: &str) -> std::result::Result<Self, &'static str> {
        let text = text.trim();
        let text = text.strip_prefix("SLURM_JWT=").unwrap_or(text);
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.contains(char::is_whitespace) {
            return Err("it is more than one word");
        }
        let mut value =
            HeaderValue::from_str(text).map_err(|_| "it has characters that no header may have")?;
        value.set_sensitive(true);
        let claims = text
            .split('.')
            .nth(1)
            .and_then(|part| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Option<Claims> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let expires = claims
            .and_then(|claims| claims.exp)
            .and_then(|exp| Duration::try_from_secs_f64(exp).ok())
            .and_then(|exp| UNIX_EPOCH.checked_add(exp));
        Ok(Self { value, expires, obtained: SystemTime::now(), stamp: None })
    }

    pub fn header(&self) -> HeaderValue {
        self.value.clone()
    }

    /// Whether a quarter of its life or a minute is left, whichever is less.
    fn ends_soon(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| {
            let life = expires.duration_since(self.obtained).unwrap_or_default();
            now + (life / 4).min(Duration::from_secs(60)) >= expires
        })
    }
}

/// A token for a user as `scontrol token` makes it (slurm's jwt guide): HS256 over the user's name, the time and the end.
fn made(key: &[u8], user: &str, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let part =
        |value: serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(serde_json::json!({ "alg": "HS256", "typ": "JWT" }));
    let claims = part(serde_json::json!({ "exp": now + LIFE.as_secs(), "iat": now, "sun": user }));
    let text = format!("{head}.{claims}");
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), text.as_bytes());
    format!("{text}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(tag))
}

/// The source and the token in use.
#[derive(Debug)]
pub(crate) struct Tokens {
    source: TokenSource,
    held: Mutex<Option<Token>>,
}

impl Tokens {
    pub fn new(source: TokenSource) -> Self {
        Self { source, held: Mutex::new(None) }
    }

    /// The token to send now.
    pub async fn current(&self) -> Result<Token> {
        let mut held = self.held.lock().await;
        let fresh = match (&*held, &self.source) {
            (None, _) => false,
            (Some(token), TokenSource::Command(_) | TokenSource::Key { .. }) => {
                !token.ends_soon(SystemTime::now())
            }
            (Some(token), TokenSource::File(_)) => token.stamp == self.stamp().await,
        };
        match &*held {
            Some(token) if fresh => Ok(token.clone()),
            _ => Ok(held.insert(self.obtain().await?).clone()),
        }
    }

    /// After `refused` was refused: another token, or `None` where there is no other.
    pub async fn another(&self, refused: &Token) -> Result<Option<Token>> {
        let mut held = self.held.lock().await;
        let token = match &*held {
            // somebody else has renewed it meanwhile
            Some(token) if token.value != refused.value => token.clone(),
            _ => held.insert(self.obtain().await?).clone(),
        };
        Ok((token.value != refused.value).then_some(token))
    }

    async fn stamp(&self) -> Option<(SystemTime, u64)> {
        let TokenSource::File(path) = &self.source else { return None };
        let meta = tokio::fs::metadata(path).await.ok()?;
        Some((meta.modified().ok()?, meta.len()))
    }

    fn none(&self, why: impl fmt::Display) -> Error {
        Error::NoToken { origin: self.source.to_string(), why: why.to_string() }
    }

    async fn obtain(&self) -> Result<Token> {
        // The stamp from before the reading: a change during it is seen the next time.
        let stamp = self.stamp().await;
        let text = match &self.source {
            TokenSource::File(path) => {
                if stamp.is_some_and(|(_, len)| len > TOKEN_MOST as u64) {
                    return Err(self.none("the file is too large for a token"));
                }
                tokio::fs::read_to_string(path).await.map_err(|error| self.none(error))?
            }
            TokenSource::Command(words) => self.run(words).await?,
            TokenSource::Key { path, user } => {
                let key = tokio::fs::read(path).await.map_err(|error| self.none(error))?;
                made(&key, user, SystemTime::now())
            }
        };
        let token = Token::of(&text).map_err(|why| self.none(why))?;
        Ok(Token { stamp, ..token })
    }

    async fn run(&self, words: &[String]) -> Result<String> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(self.none("no command is given"));
        };
        let running = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, running)
            .await
            .map_err(|_| self.none(format!("it took over {} s", COMMAND_TIMEOUT.as_secs())))?
            .map_err(|error| self.none(error))?;
        if !output.status.success() {
            // The command's words of failure, not its output, which might hold a token.
            let words = String::from_utf8_lossy(&output.stderr);
            let last = words.lines().last().unwrap_or_default();
            return Err(self.none(format!(
                "{}: {}",
                output.status,
                last.chars().take(200).collect::<String>()
            )));
        }
        if output.stdout.len() > TOKEN_MOST {
            return Err(self.none("its output is too long for a token"));
        }
        String::from_utf8(output.stdout).map_err(|_| self.none("its output is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(exp: u64) -> String {
        let part = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!(
            "{}.{}.{}",
            part("{}".into()),
            part(format!("{{\"exp\":{exp},\"sun\":\"a\"}}")),
            part("s".into())
        )
    }

    #[test]
    fn the_end_is_read_from_the_token() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let token = Token::of(&format!("SLURM_JWT={}\n", jwt(now + 1000))).expect("a token");
        assert!(!token.ends_soon(SystemTime::now()));
        assert!(token.ends_soon(SystemTime::now() + Duration::from_secs(945)));
        assert!(!Token::of("opaque").expect("a token").ends_soon(SystemTime::now()));
        assert!(Token::of("").is_err() && Token::of("a b").is_err());
    }

    #[test]
    fn nobody_sees_it() {
        let token = Token::of(&jwt(1)).expect("a token");
        assert!(!format!("{token:?} {:?}", token.header()).contains(&jwt(1)));
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("token");
        let tokens = Tokens::new(TokenSource::File(path.clone()));
        assert!(matches!(tokens.current().await, Err(Error::NoToken { .. })));
        std::fs::write(&path, "first").expect("written");
        let first = tokens.current().await.expect("a token");
        assert_eq!(tokens.another(&first).await.expect("asked"), None);
        std::fs::write(&path, "second-one").expect("written");
        let second = tokens.current().await.expect("a token");
        assert_eq!(second.header().to_str().expect("text"), "second-one");
    }

    /// As Python's `hmac` signs the same two objects.
    const KNOWN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3MDAwMDE4MDAsImlhdCI6MTcwMDAwMDAwMCwic3VuIjoicml4aW4ifQ\
         .fuGKSwJIdkvMwcC2q2QPaaqRUs7h_CRKwEEUFGY1ncQ";

    #[test]
    fn a_token_of_the_clusters_key() {
        let token = made(&[b'k'; 32], "rixin", UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert_eq!(token, KNOWN);
        let parsed = TokenSource::parse("key:/etc/slurm/jwt.key", "rixin").expect("a key");
        assert_eq!(parsed, TokenSource::Key { path: "/etc/slurm/jwt.key".into(), user: "rixin".into() });
        assert!(TokenSource::parse("key:jwt.key", "rixin").is_err());
        assert!(matches!(TokenSource::parse("/run/token", "rixin"), Ok(TokenSource::File(_))));
    }

    #[tokio::test]
    async fn a_command_that_fails_says_why() {
        let source: TokenSource = "sh -c nonsense".parse().expect("a command");
        let error = Tokens::new(source).current().await.expect_err("fails");
        assert!(error.to_string().contains("nonsense"), "{error}");
        let source: TokenSource = "echo SLURM_JWT=abc".parse().expect("a command");
        let token = Tokens::new(source).current().await.expect("a token");
        assert_eq!(token.header().to_str().expect("text"), "abc");
    }
}
