//! Substring search over all models: one line a model, 512 lines a shelf, scanned as bytes.
//!
//! A scan costs the same for every query, also for two Chinese characters or a word that every model has, which is where
//! token and trigram indexes are weakest (measured: `cargo run --release -p rixin-models --example registry_bench`).

use std::collections::BinaryHeap;

use memchr::{memchr, memmem, memrchr};

use super::query::Cursor;
use crate::{Manifest, ModelKind, Origin};

/// Models on a shelf.
pub(super) const SHELF: i64 = 512;
const END: char = '\n';
const GAP: char = '\u{1f}';
/// Of each description this much is searched, in bytes.
const DESCRIPTION_BYTES: usize = 400;

/// Lower case; full-width forms as typed by Chinese input methods become ASCII; control characters become spaces.
pub(crate) fn fold(text: &str) -> String {
    let narrow = text.chars().map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    });
    narrow.flat_map(char::to_lowercase).collect()
}

/// A model's line: two control characters for kind and origin, the id, the folded text.
pub(super) fn line(manifest: &Manifest) -> String {
    let cut = |text: &'_ str| -> String {
        let mut end = text.len().min(DESCRIPTION_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text[..end].to_owned()
    };
    let mut words = vec![manifest.name.clone()];
    words.extend(
        [&manifest.architecture, &manifest.quantisation, &manifest.base_model].into_iter().flatten().cloned(),
    );
    words.extend(manifest.languages.iter().cloned());
    words.extend(manifest.tags.iter().cloned());
    words.push(cut(&manifest.description.en));
    words.push(cut(&manifest.description.zh));
    let (kind, origin) = (mark(kind_number(manifest.kind)), mark(origin_number(manifest.origin)));
    format!("{kind}{origin}{}{GAP}{}{END}", manifest.id, fold(&words.join(" ")))
}

pub(super) fn kind_number(kind: ModelKind) -> u8 {
    ModelKind::ALL.iter().position(|k| *k == kind).unwrap_or_default() as u8
}

pub(super) fn origin_number(origin: Origin) -> u8 {
    Origin::ALL.iter().position(|o| *o == origin).unwrap_or_default() as u8
}

/// Numbers as control characters, which no query has: 0 is U+0001.
fn mark(number: u8) -> char {
    char::from(number + 1)
}

/// A shelf without the line of `id`, and with `line` where one is given.
pub(super) fn with_line(shelf: &str, id: &str, line: Option<&str>) -> String {
    let mut out = String::with_capacity(shelf.len() + line.map_or(0, str::len));
    for old in shelf.split_inclusive(END) {
        if old.get(2..).and_then(|rest| rest.split_once(GAP)).is_none_or(|(known, _)| known != id) {
            out.push_str(old);
        }
    }
    out.push_str(line.unwrap_or_default());
    out
}

/// What a scan looks for.
pub(super) struct Scan {
    whole: String,
    longest: String,
    others: Vec<String>,
    kind: Option<u8>,
    origin: Option<u8>,
}

impl Scan {
    /// `None` where the text has no word.
    pub fn new(text: &str, kind: Option<ModelKind>, origin: Option<Origin>) -> Option<Self> {
        const MOST_WORDS: usize = 16;
        let whole = fold(text).trim().to_owned();
        let mut others: Vec<String> = whole.split_whitespace().take(MOST_WORDS).map(str::to_owned).collect();
        others.sort_by_key(|word| std::cmp::Reverse(word.len()));
        others.dedup();
        if others.is_empty() {
            return None;
        }
        let longest = others.remove(0);
        let (kind, origin) = (kind.map(kind_number), origin.map(origin_number));
        Some(Self { whole, longest, others, kind, origin })
    }

    /// Goes through the shelves; gives the number of matches and, in order, the first `limit` of them after `after`.
    pub fn run<'a>(
        &self,
        shelves: impl Iterator<Item = &'a str>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> (u64, Vec<Cursor>) {
        let finder = memmem::Finder::new(self.longest.as_bytes());
        let others: Vec<_> = self.others.iter().map(|word| memmem::Finder::new(word.as_bytes())).collect();
        let mut total = 0;
        let mut best: BinaryHeap<Cursor> = BinaryHeap::with_capacity(limit + 1);
        for shelf in shelves {
            let bytes = shelf.as_bytes();
            let mut from = 0;
            while let Some(at) = finder.find(&bytes[from..]).map(|at| at + from) {
                let start = memrchr(END as u8, &bytes[..at]).map_or(0, |end| end + 1);
                let end = memchr(END as u8, &bytes[at..]).map_or(bytes.len(), |end| at + end);
                from = end;
                let Some(id) = self.matches(&shelf[start..end], &others) else { continue };
                total += 1;
                let found = (self.rank(id), id);
                if after.is_some_and(|a| found <= (a.rank, a.id.as_str())) {
                    continue;
                }
                if best.len() == limit
                    && best.peek().is_some_and(|worst| found >= (worst.rank, worst.id.as_str()))
                {
                    continue;
                }
                best.push(Cursor { rank: found.0, id: id.to_owned() });
                if best.len() > limit {
                    best.pop();
                }
            }
        }
        (total, best.into_sorted_vec())
    }

    /// The id of a line that matches.
    fn matches<'a>(&self, line: &'a str, others: &[memmem::Finder]) -> Option<&'a str> {
        let marks = line.as_bytes();
        let is =
            |wanted: Option<u8>, at: usize| wanted.is_none_or(|number| marks.get(at) == Some(&(number + 1)));
        if !is(self.kind, 0) || !is(self.origin, 1) {
            return None;
        }
        if !others.iter().all(|finder| finder.find(line.as_bytes()).is_some()) {
            return None;
        }
        line.get(2..)?.split_once(GAP).map(|(id, _)| id)
    }

    fn rank(&self, id: &str) -> u8 {
        if id == self.whole {
            0
        } else if id.starts_with(&self.whole) {
            1
        } else if id.contains(&self.longest) {
            2
        } else {
            3
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lines: &str, text: &str, after: Option<&Cursor>, limit: usize) -> (u64, Vec<String>) {
        let scan = Scan::new(text, None, None).expect("has words");
        let (total, found) = scan.run([lines].into_iter(), after, limit);
        (total, found.into_iter().map(|c| c.id).collect())
    }

    const LINES: &str = "\u{1}\u{1}b-qwen\u{1f}通义千问 b\n\u{1}\u{2}qwen3\u{1f}千问三 a\n\u{2}\u{1}qwen\u{1f}x\n\u{1}\u{1}z\u{1f}qwen base\n";

    #[test]
    fn ranks_and_pages() {
        let (total, ids) = run(LINES, "Qwen", None, 10);
        assert_eq!((total, ids), (4, vec!["qwen".into(), "qwen3".into(), "b-qwen".into(), "z".into()]));
        let (total, ids) = run(LINES, "qwen", None, 2);
        assert_eq!((total, ids), (4, vec!["qwen".into(), "qwen3".into()]));
        let (total, ids) = run(LINES, "qwen", Some(&Cursor { rank: 1, id: "qwen3".into() }), 2);
        assert_eq!((total, ids), (4, vec!["b-qwen".into(), "z".into()]));
    }

    #[test]
    fn chinese_and_several_words() {
        assert_eq!(run(LINES, "千问", None, 10).0, 2);
        assert_eq!(run(LINES, "千问 ＱＷＥＮ３", None, 10).1, ["qwen3"]);
        assert_eq!(run(LINES, "问", None, 10).0, 2);
        assert!(Scan::new(" \u{3000}\n", None, None).is_none());
    }

    #[test]
    fn filters() {
        let scan = Scan::new("qwen", Some(ModelKind::Embedding), None).expect("word");
        assert_eq!(scan.run([LINES].into_iter(), None, 10).1[0].id, "qwen");
        let scan = Scan::new("qwen", None, Some(Origin::Imported)).expect("word");
        assert_eq!(scan.run([LINES].into_iter(), None, 10).1[0].id, "qwen3");
    }

    #[test]
    fn lines_are_replaced() {
        let without = with_line(LINES, "qwen", None);
        assert_eq!(without.lines().count(), 3);
        assert!(with_line(&without, "z", Some("\u{1}\u{1}z\u{1f}new\n")).ends_with("z\u{1f}new\n"));
    }
}
