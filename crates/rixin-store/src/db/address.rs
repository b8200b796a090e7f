//! The address of a Postgres database, which is read once and never shows its password.

use std::{fmt, str::FromStr};

use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::Error;

/// What may follow the `?`. Anything else is refused: a misspelt `password` must not end in a log as an unknown name with its value.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// `postgres://user:password@host:5432/database?sslmode=verify-full`. What it leaves out comes from libpq's `PG*` variables and
/// `~/.pgpass`; `sslmode` is `prefer` unless it is given.
#[derive(Clone)]
pub struct DatabaseUrl {
    options: PgConnectOptions,
    shown: String,
}

impl DatabaseUrl {
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Connects, asks for the server's version and leaves; changes nothing.
    ///
    /// # Errors
    /// The server is unreachable or refuses.
    pub async fn probe(&self) -> Result<String, Error> {
        super::postgres::version(self).await
    }
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::BadUrl { why };
        // The parser's words are about the form alone and never hold a part of the text.
        let url = Url::parse(text.trim()).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad("it does not begin with postgres://".into()));
        }
        for (name, _) in url.query_pairs() {
            if !PARAMETERS.contains(&&*name) {
                return Err(bad(format!("it has an unknown parameter {name:?}")));
            }
        }
        let options: PgConnectOptions = url.as_str().parse().map_err(|error| match error {
            sqlx::Error::Configuration(why) => bad(why.to_string()),
            other => bad(other.to_string()),
        })?;
        let host = match options.get_socket() {
            Some(folder) => format!("{}:{}", folder.display(), options.get_port()),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let shown = format!("postgres://{}@{host}/{database}", options.get_username());
        Ok(Self { options: options.application_name("rixin"), shown })
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_everything_but_its_password() {
        let url: DatabaseUrl =
            "postgres://rixin:hunter2@db.example:6432/suite?sslmode=verify-full".parse().expect("valid");
        assert_eq!(url.to_string(), "postgres://rixin@db.example:6432/suite");
        assert!(!format!("{url:?}").contains("hunter2"));
        let socket: DatabaseUrl =
            "postgres:///suite?host=/run/pg&user=a&password=hunter2".parse().expect("valid");
        assert_eq!(socket.to_string(), "postgres://a@/run/pg:5432/suite");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (text, expected) in [
            ("mysql://u:hunter2@h/d", "postgres://"),
            ("hunter2", "relative URL"),
            ("postgres://u:hunter2@h:port/d", "port"),
            ("postgres://u@h/d?pasword=hunter2", "\"pasword\""),
            ("postgres://u:hunter2@h/d?sslmode=perhaps", "perhaps"),
        ] {
            let error = text.parse::<DatabaseUrl>().expect_err("wrong");
            let words = format!("{error} {error:?}");
            assert!(words.contains(expected) && !words.contains("hunter2"), "{text}: {words}");
        }
    }
}
