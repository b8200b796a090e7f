//! A private Postgres server in a temporary folder, on a Unix socket there and on no port.
//!
//! A watchdog process holds the other end of a pipe: however this process ends, the pipe closes, and the watchdog stops the server
//! and removes its folder.

use std::{
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The server of this process, started by the first test that asks; `None` where Postgres can't be had.
pub fn shared() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(Server::start).as_ref()
}

/// A running server.
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<(u32, u32)>,
    watchdog: Child,
}

impl Server {
    /// Starts one; `None`, with a printed word, where Postgres or a user for it is missing.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!(
                "skipped: no Postgres on this machine (Debian: apt-get install postgresql postgresql-contrib)"
            );
            return None;
        };
        let user = match unprivileged() {
            Ok(user) => user,
            Err(why) => {
                println!("skipped: {why}");
                return None;
            }
        };
        let folder = tempfile::Builder::new().prefix("rixin-pg-").tempdir().expect("temp dir").keep();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid))
                .expect("the folder is the server's user's");
        }
        let watchdog = watchdog(&programs, &folder, user);
        let server = Self { programs, folder, user, watchdog };
        server.run(
            "initdb",
            &["-U", "rixin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        );
        server.up();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = as_user(Command::new(self.programs.join(program)), self.user);
        command.arg("-D").arg(self.data()).args(arguments);
        let output =
            command.current_dir(&self.folder).stdin(Stdio::null()).output().expect("the program starts");
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} failed: {words}\n{log}");
    }

    /// Starts the server again after [`Server::down`].
    pub fn up(&self) {
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off -c synchronous_commit=off \
             -c full_page_writes=off -c max_connections=300 -c shared_buffers=32MB -c log_min_messages=warning",
            self.folder.display()
        );
        let log = self.folder.join("log");
        self.run("pg_ctl", &["start", "--wait", "--silent", "--log", &log.to_string_lossy(), "-o", &options]);
    }

    /// Ends all connections and stops it.
    pub fn down(&self) {
        self.run("pg_ctl", &["stop", "--wait", "--silent", "--mode=fast"]);
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://rixin@localhost/{database}?host={}", self.folder.display())
    }

    /// The address of a new, empty database.
    pub async fn create_database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// Runs statements of the test's own.
    pub async fn ask(&self, database: &str, statements: &str) {
        execute(&self.url(database), statements).await;
    }
}

/// Runs statements of the test's own.
pub async fn execute(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the server answers");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await.expect("valid SQL");
    connection.close().await.expect("closed");
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Ends with the pipe to its standard input. It ignores Ctrl-C, which reaches the whole process group.
fn watchdog(programs: &Path, folder: &Path, user: Option<(u32, u32)>) -> Child {
    let script = r#"trap '' INT TERM HUP; read -r _; "$1/pg_ctl" stop --silent --mode=immediate -D "$2/data"; rm -rf "$2""#;
    let mut command = as_user(Command::new("/bin/sh"), user);
    command.arg("-c").arg(script).arg("watchdog").arg(programs).arg(folder).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh starts")
}

fn as_user(mut command: Command, user: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Postgres refuses to run as root: then it runs as `postgres` or `nobody`.
fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    let me = std::fs::metadata("/proc/self").map_or(1, |data| data.uid());
    if me != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
    let find = |wanted: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (name == wanted).then_some((uid, gid))
        })
    };
    let user = find("postgres").or_else(|| find("nobody"));
    user.map(Some)
        .ok_or_else(|| "Postgres does not run as root, and there is no user postgres or nobody".into())
}

/// The folder of the newest server's programs: Debian's, another system's, or the search path's.
fn programs() -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    debian.sort_by_key(|path| version(path));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest_first = debian.iter().rev().map(|path| path.join("bin"));
    newest_first
        .chain(std::env::split_paths(&path))
        .find(|dir| dir.join("initdb").exists() && dir.join("pg_ctl").exists())
}
