//! One server a data folder: a locked file that names the process which holds it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    net::SocketAddr,
    path::Path,
};

use rixin_base::{Code, Fault};

/// The lock; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct ServeLock(File);

impl ServeLock {
    /// Makes the data folder where it is missing, and locks it.
    ///
    /// # Errors
    /// A folder that can't be written, or a server that runs on it.
    pub fn take(data_dir: &Path) -> Result<Self, Fault> {
        let unwritable = |error: std::io::Error| {
            let shown = data_dir.display();
            Fault::new(
                Code::ReadOnly,
                format!(
                    "data folder {shown} can't be written: {error}; choose another with --data-dir or RIXIN_DATA_DIR, or give this user the right to write there"
                ),
                format!(
                    "数据文件夹 {shown} 无法写入：{error}；请用 --data-dir 或 RIXIN_DATA_DIR 换一个，或给当前用户写权限"
                ),
            )
        };
        fs::create_dir_all(data_dir).map_err(unwritable)?;
        let path = data_dir.join("serve.lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(data_dir, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let lock = Self(file);
        lock.write(&format!("{}\n", std::process::id())).map_err(unwritable)?;
        Ok(lock)
    }

    /// Notes the address, for the message that a second server gives.
    pub fn tell(&self, address: SocketAddr) {
        // Only a message depends on it.
        let _ = self.write(&format!("{}\n{address}\n", std::process::id()));
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(text.as_bytes())
    }
}

fn taken(data_dir: &Path, file: &mut File) -> Fault {
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    let mut lines = text.lines();
    let pid = lines.next().unwrap_or("?").to_owned();
    let place = lines.next().map(|address| format!(" (http://{address})")).unwrap_or_default();
    let shown = data_dir.display();
    Fault::new(
        Code::Conflict,
        format!(
            "a server runs on {shown} already: process {pid}{place}; stop it with `kill {pid}`, or choose another folder with --data-dir"
        ),
        format!(
            "{shown} 上已有服务器在运行：进程 {pid}{place}；可用 `kill {pid}` 停止它，或用 --data-dir 换一个文件夹"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_names_the_first() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = ServeLock::take(dir.path()).expect("free");
        first.tell("127.0.0.1:1".parse().expect("an address"));
        let fault = ServeLock::take(dir.path()).expect_err("taken");
        assert_eq!(fault.code, Code::Conflict);
        let pid = std::process::id().to_string();
        assert!(
            fault.message.en.contains(&pid) && fault.message.en.contains("http://127.0.0.1:1"),
            "{fault}"
        );
        assert!(fault.message.zh.contains(&pid));
        drop(first);
        ServeLock::take(dir.path()).expect("free again");
    }
}
