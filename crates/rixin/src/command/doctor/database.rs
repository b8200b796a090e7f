//! The Postgres database that gateways share, where the settings name one.

use rixin_base::{Explain as _, Settings};
use rixin_store::StoreOptions;

use super::Check;

/// Asks the server; changes nothing there.
pub async fn check(settings: &Settings) -> Option<Check> {
    let asked = match StoreOptions::from_settings(settings) {
        Ok(options) => {
            let url = options.database_url?;
            url.probe().await.map(|version| (url, version))
        }
        Err(error) => Err(error),
    };
    Some(match asked {
        Ok((url, version)) => Check::ok(
            "database",
            format!("database: {url} answers (Postgres {version})"),
            format!("数据库：{url} 可用（Postgres {version}）"),
        ),
        Err(error) => {
            let message = error.message();
            Check::missing("database", message.en, message.zh)
        }
    })
}
