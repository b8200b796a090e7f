//! `multipart/form-data` (RFC 7578) as it comes, without keeping it: a parser that takes bytes in any pieces and gives the heads of
//! parts and their data. What it holds back is bounded: a head, or the length of a delimiter.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;
use rixin_base::{Code, Fault};

/// The longest head of a part, in bytes.
const MAX_HEAD: usize = 8 << 10;
/// The longest boundary (RFC 2046, 5.1.1).
const MAX_BOUNDARY: usize = 70;
/// The longest file name that is kept, in characters.
const MAX_NAME: usize = 255;

/// What is wrong with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    en: &'static str,
    zh: &'static str,
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Fault::new(
            Code::InvalidValue,
            format!("the form can't be read: {}", broken.en),
            format!("无法读取表单：{}", broken.zh),
        )
    }
}

const BAD_BOUNDARY: Broken = Broken {
    en: "its content type has no boundary of 1 to 70 characters",
    zh: "其内容类型缺少 1 到 70 个字符的 boundary",
};
const NO_DELIMITER: Broken = Broken {
    en: "it does not begin with the boundary of its content type",
    zh: "它不以内容类型中的 boundary 开头",
};
const AFTER_DELIMITER: Broken = Broken {
    en: "a line with its boundary does not end there",
    zh: "boundary 所在的行没有就此结束",
};
const HEAD_TOO_LONG: Broken =
    Broken { en: "the head of a part is over 8 KiB", zh: "某一部分的头部超过 8 KiB" };
const BAD_HEAD: Broken = Broken {
    en: "the head of a part has no 'Content-Disposition: form-data; name=\"...\"' in UTF-8",
    zh: "某一部分的头部缺少 UTF-8 编码的 'Content-Disposition: form-data; name=\"...\"'",
};
pub(crate) const CUT_SHORT: Broken = Broken {
    en: "it ends before its last boundary: send it again as a whole",
    zh: "它在最后一个 boundary 之前就结束了：请重新完整发送",
};

/// The head of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The field.
    pub name: String,
    /// The name of the file, without folders, where the part is one.
    pub file_name: Option<String>,
}

/// A step of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A part begins.
    Head(Head),
    /// Bytes of it.
    Data(Bytes),
    /// It is whole.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Delimiter { first: bool },
    AfterDelimiter { first: bool },
    Head,
    Data,
    Done,
}

/// The parser. Feed it bytes with [`Parser::push`], take pieces with [`Parser::next`].
pub(crate) struct Parser {
    buffer: BytesMut,
    delimiter: Finder<'static>,
    at: At,
}

impl Parser {
    /// Of a request with this content type.
    ///
    /// # Errors
    /// It has no usable boundary.
    pub fn new(content_type: &str) -> Result<Self, Broken> {
        let boundary = parameters(content_type).find(|(name, _)| name == "boundary").map(|(_, value)| value);
        let boundary = boundary.filter(|text| (1..=MAX_BOUNDARY).contains(&text.len()) && text.is_ascii());
        let delimiter = format!("\r\n--{}", boundary.ok_or(BAD_BOUNDARY)?);
        // The first delimiter stands at the very start, without a line break before it: here it gets one.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        let delimiter = Finder::new(delimiter.as_bytes()).into_owned();
        Ok(Self { buffer, delimiter, at: At::Delimiter { first: true } })
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at != At::Done {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether the last delimiter has come.
    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The next piece, or `None` until more bytes come or the form is done.
    ///
    /// # Errors
    /// It is no form; the parser is of no use after that.
    pub fn next(&mut self) -> Result<Option<Piece>, Broken> {
        loop {
            match self.at {
                At::Done => return Ok(None),
                At::Delimiter { first } => {
                    let delimiter = self.delimiter.needle();
                    let there = self.buffer.len().min(delimiter.len());
                    if self.buffer[..there] != delimiter[..there] {
                        return Err(NO_DELIMITER);
                    }
                    if there < delimiter.len() {
                        return Ok(None);
                    }
                    let _ = self.buffer.split_to(there);
                    self.at = At::AfterDelimiter { first };
                }
                At::AfterDelimiter { first } => {
                    if self.buffer.len() < 2 {
                        return Ok(None);
                    }
                    self.at = match &self.buffer.split_to(2)[..] {
                        b"\r\n" => At::Head,
                        b"--" => At::Done,
                        _ => return Err(AFTER_DELIMITER),
                    };
                    if !first {
                        return Ok(Some(Piece::End));
                    }
                }
                At::Head => {
                    let within = self.buffer.len().min(MAX_HEAD + 4);
                    let Some(end) = memchr::memmem::find(&self.buffer[..within], b"\r\n\r\n") else {
                        return if self.buffer.len() > MAX_HEAD { Err(HEAD_TOO_LONG) } else { Ok(None) };
                    };
                    let head = self.buffer.split_to(end + 4);
                    self.at = At::Data;
                    return Ok(Some(Piece::Head(head_of(&head[..end])?)));
                }
                At::Data => match self.delimiter.find(&self.buffer) {
                    Some(end) => {
                        self.at = At::Delimiter { first: false };
                        if end > 0 {
                            return Ok(Some(Piece::Data(self.buffer.split_to(end).freeze())));
                        }
                    }
                    None => {
                        // The end may be the start of a delimiter.
                        let sure = self.buffer.len().saturating_sub(self.delimiter.needle().len() - 1);
                        if sure == 0 {
                            return Ok(None);
                        }
                        return Ok(Some(Piece::Data(self.buffer.split_to(sure).freeze())));
                    }
                },
            }
        }
    }
}

fn head_of(bytes: &[u8]) -> Result<Head, Broken> {
    let text = std::str::from_utf8(bytes).map_err(|_| BAD_HEAD)?;
    let disposition = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
    });
    let disposition = disposition.ok_or(BAD_HEAD)?;
    let kind = disposition.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(BAD_HEAD);
    }
    let (mut name, mut file_name, mut extended) = (None, None, None);
    for (key, value) in parameters(disposition) {
        match key.as_str() {
            "name" => name = Some(value),
            "filename" => file_name = Some(value),
            // Against RFC 7578, and yet sent by some clients for names that are not ASCII.
            "filename*" => extended = value.split("''").nth(1).and_then(percent_decoded),
            _ => {}
        }
    }
    let file_name = extended.or(file_name).map(|name| plain_name(&name));
    Ok(Head { name: name.ok_or(BAD_HEAD)?, file_name })
}

/// `name=value` and `name="value"` behind the first semicolon; names in lower case.
fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
    let mut rest = text.split_once(';').map_or("", |(_, rest)| rest);
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == ';').to_ascii_lowercase();
        let after = after.trim_start();
        let value;
        if let Some(quoted) = after.strip_prefix('"') {
            (value, rest) = unquoted(quoted);
        } else {
            let (plain, behind) = after.split_once(';').unwrap_or((after, ""));
            (value, rest) = (plain.trim().to_owned(), behind);
        }
        Some((name, value))
    })
}

/// The text up to the closing quotation mark, and what stands behind it. Browsers write a mark as `%22`, other clients as `\"`; a
/// backslash before anything else is one, as in the paths that old browsers sent.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                return (
                    value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"),
                    &text[at + 1..],
                );
            }
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                value.extend(chars.next().map(|(_, next)| next));
            }
            c => value.push(c),
        }
    }
    (value, "")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first == b'%' {
            let (digits, more) = more.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// A name without folders and control characters, of a length that file systems take.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    if plain.trim().is_empty() { "file".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; boundary=\"a b\"";

    fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (head, data) in parts {
            body.extend_from_slice(format!("--a b\r\n{head}\r\n\r\n").as_bytes());
            body.extend_from_slice(data);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--a b--\r\n");
        body
    }

    type Parts = Vec<(Head, Vec<u8>)>;

    fn read(body: &[u8], step: usize) -> Result<(Parts, bool), Broken> {
        let mut parser = Parser::new(TYPE)?;
        let (mut parts, mut open) = (Parts::new(), false);
        for piece in body.chunks(step) {
            parser.push(piece);
            while let Some(piece) = parser.next()? {
                match piece {
                    Piece::Head(head) => {
                        assert!(!std::mem::replace(&mut open, true), "parts follow each other");
                        parts.push((head, Vec::new()));
                    }
                    Piece::Data(data) => parts.last_mut().expect("a head came").1.extend_from_slice(&data),
                    Piece::End => assert!(std::mem::replace(&mut open, false)),
                }
            }
        }
        Ok((parts, parser.is_done()))
    }

    fn head(disposition: &str) -> Result<Head, Broken> {
        head_of(format!("Content-Type: text/plain\r\ncontent-disposition: {disposition}").as_bytes())
    }

    #[test]
    fn names_come_in_many_ways() {
        for (disposition, name) in [
            ("form-data; name=\"file\"; filename=\"a b.jsonl\"", "a b.jsonl"),
            ("form-data; name=file; filename=a.jsonl", "a.jsonl"),
            ("form-data; filename=\"x; name=y\"; name=\"file\"", "x; name=y"),
            ("form-data; name=\"file\"; filename=\"%22q%22\"", "\"q\""),
            ("form-data; name=\"file\"; filename=\"\\\"q\\\"\"", "\"q\""),
            ("form-data; name=\"file\"; filename=\"C:\\dir\\问.txt\"", "问.txt"),
            ("form-data; name=\"file\"; filename=\"../../etc/passwd\"", "passwd"),
            ("form-data; name=\"file\"; filename*=utf-8''%E9%97%AE.txt", "问.txt"),
            ("form-data; name=\"file\"; filename=\"\"", "file"),
        ] {
            let head = head(disposition).expect(disposition);
            assert_eq!(
                (head.name.as_str(), head.file_name.as_deref()),
                ("file", Some(name)),
                "{disposition}"
            );
        }
        assert_eq!(head("form-data; name=\"purpose\"").expect("a field").file_name, None);
        for bad in ["attachment; name=\"x\"", "form-data", "form-data; filename=\"x\""] {
            assert_eq!(head(bad), Err(BAD_HEAD), "{bad}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            &format!("x;boundary={}", "a".repeat(71)),
        ] {
            assert!(Parser::new(kind).is_err(), "{kind}");
        }
        assert_eq!(read(b"hello", 5), Err(NO_DELIMITER));
        assert_eq!(read(b"--a bc\r\n", 3), Err(AFTER_DELIMITER));
        assert_eq!(read(b"--a b\r\nX: y\r\n\r\n", 100), Err(BAD_HEAD));
        let endless = [b"--a b\r\nX: ".as_slice(), &vec![b'y'; 20_000]].concat();
        assert_eq!(read(&endless, 1000), Err(HEAD_TOO_LONG));
        let whole = form(&[("Content-Disposition: form-data; name=x", b"1")]);
        for cut in 0..whole.len() - 4 {
            assert!(!read(&whole[..cut], 7).expect("so far a form").1, "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            contents in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'a'), Just(b' '), any::<u8>()], 0..60),
                0..4,
            ),
            step in 1usize..50,
        ) {
            prop_assume!(contents.iter().all(|data| memchr::memmem::find(data, b"\r\n--a b").is_none()));
            let parts: Vec<(&str, &[u8])> =
                contents.iter().map(|data| ("Content-Disposition: form-data; name=x", data.as_slice())).collect();
            let (read, done) = read(&form(&parts), step).expect("a form");
            prop_assert!(done);
            prop_assert_eq!(read.into_iter().map(|(_, data)| data).collect::<Vec<_>>(), contents);
        }

        #[test]
        fn nothing_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), step in 1usize..50) {
            let _ = read(&body, step);
            let _ = read(&[b"--a b\r\nContent-Disposition: form-data; ".as_slice(), &body, b"\r\n\r\n"].concat(), step);
        }
    }
}
