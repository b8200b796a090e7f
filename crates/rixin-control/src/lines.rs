//! Lines of a child's pipe, with a limit: what is longer is cut, and the rest of that line is thrown away.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is kept, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024;

/// Reads one line, without its end, into `line`; false at the end of the stream. Invalid UTF-8 is replaced.
pub(crate) async fn next_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    line: &mut String,
) -> std::io::Result<bool> {
    let mut bytes = Vec::new();
    let mut any = false;
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            break;
        }
        any = true;
        let end = chunk.iter().position(|b| *b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LONGEST - bytes.len();
        bytes.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(chunk.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            break;
        }
    }
    line.clear();
    line.push_str(String::from_utf8_lossy(&bytes).trim_end_matches('\r'));
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_cut_and_the_last_needs_no_end() {
        let text = format!("one\r\n{}\nthree", "x".repeat(3 * LONGEST));
        let mut reader = tokio::io::BufReader::with_capacity(100, text.as_bytes());
        let mut line = String::new();
        assert!(next_line(&mut reader, &mut line).await.expect("memory can't fail"));
        assert_eq!(line, "one");
        assert!(next_line(&mut reader, &mut line).await.expect("memory can't fail"));
        assert_eq!(line.len(), LONGEST);
        assert!(next_line(&mut reader, &mut line).await.expect("memory can't fail"));
        assert_eq!(line, "three");
        assert!(!next_line(&mut reader, &mut line).await.expect("memory can't fail"));
    }
}
