//! JSON lines from a caller's file: read one by one, with limits, never all at once.

use std::path::Path;

use rixin_base::{Code, Fault};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt as _, BufReader},
};

use crate::work::{Failure, Outcome};

/// The longest line, in bytes.
pub(super) const LINE_MOST: usize = 4 << 20;

/// Lines of a file, without their ends; empty lines are passed over but counted.
pub(super) struct Lines {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    next: u64,
}

impl Lines {
    pub async fn open(path: &Path) -> Outcome<Self> {
        let file = File::open(path).await.map_err(|error| unread(path, &error))?;
        Ok(Self { reader: BufReader::with_capacity(1 << 16, file), buffer: Vec::new(), next: 0 })
    }

    /// The next line that is not empty and its number from 0; `None` at the end. A line that is too long or no UTF-8 is given as an error
    /// text, and reading goes on behind it.
    pub async fn next(&mut self) -> Outcome<Option<(u64, Result<String, &'static str>)>> {
        loop {
            self.buffer.clear();
            let mut long = false;
            let mut any = false;
            loop {
                let chunk =
                    self.reader.fill_buf().await.map_err(|error| unread(Path::new("the input"), &error))?;
                if chunk.is_empty() {
                    break;
                }
                any = true;
                let end = chunk.iter().position(|byte| *byte == b'\n');
                let taken = end.map_or(chunk.len(), |end| end + 1);
                let text = &chunk[..end.unwrap_or(chunk.len())];
                if self.buffer.len() + text.len() > LINE_MOST {
                    long = true;
                } else if !long {
                    self.buffer.extend_from_slice(text);
                }
                self.reader.consume(taken);
                if end.is_some() {
                    break;
                }
            }
            if !any {
                return Ok(None);
            }
            let number = self.next;
            self.next += 1;
            if long {
                return Ok(Some((number, Err("the line is over 4 MiB"))));
            }
            // a byte order mark is what some editors begin a file with
            let bytes =
                self.buffer.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 0).unwrap_or(&self.buffer);
            match std::str::from_utf8(bytes).map(str::trim) {
                Ok("") => {}
                Ok(text) => return Ok(Some((number, Ok(text.to_owned())))),
                Err(_) => return Ok(Some((number, Err("the line is not valid UTF-8")))),
            }
        }
    }
}

fn unread(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(Fault::new(
        Code::ReadOnly,
        format!("{} can't be read: {error}", path.display()),
        format!("无法读取 {}：{error}", path.display()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn all(bytes: &[u8]) -> Vec<(u64, Result<String, &'static str>)> {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("input");
        std::fs::write(&path, bytes).expect("written");
        let mut lines = Lines::open(&path).await.expect("opens");
        let mut read = Vec::new();
        while let Some((number, line)) = lines.next().await.expect("reads") {
            read.push((number, line));
        }
        read
    }

    #[tokio::test]
    async fn numbers_count_empty_lines_and_bad_ones_are_told() {
        let long = vec![b'x'; LINE_MOST + 1];
        let bytes = [b"\xef\xbb\xbf{}\r\n\n \n\xff\n".as_slice(), &long, b"\n[1]"].concat();
        assert_eq!(
            all(&bytes).await,
            [
                (0, Ok("{}".into())),
                (3, Err("the line is not valid UTF-8")),
                (4, Err("the line is over 4 MiB")),
                (5, Ok("[1]".into())),
            ]
        );
        assert!(all(b"").await.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let read = runtime.block_on(all(&bytes));
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
            prop_assert!(read.iter().all(|(number, _)| *number < lines));
            prop_assert!(read.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
