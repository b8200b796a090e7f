//! Generic resources as Slurm writes them: `gpu:h100:2(IDX:0-1),mlu:mlu370:4(S:0-1)`.

use crate::{Error, hostlist::ranges};

/// The most entries of one text, and the most devices of one entry, that are read.
const MOST: usize = 4096;

/// Generic resources of one kind and model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GresEntry {
    /// The kind, Slurm's GRES name: `gpu`, `npu`, `mlu`.
    pub kind: String,
    /// The model, Slurm's GRES type: `h100`.
    pub model: Option<String>,
    /// How many.
    pub count: u64,
    /// Which, in the order of the node's gres.conf, where Slurm knows.
    pub indices: Option<Vec<u32>>,
}

/// Generic resources that a job asks for, per node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GresRequest {
    /// The kind, Slurm's GRES name.
    pub kind: String,
    /// The model, Slurm's GRES type; none takes any.
    pub model: Option<String>,
    /// How many.
    pub count: u32,
}

impl GresRequest {
    /// A request; the model may be absent.
    pub fn new(kind: &str, model: Option<&str>, count: u32) -> Result<Self, Error> {
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if !word(kind) || !model.is_none_or(word) || count == 0 {
            return Err(Error::invalid(
                "gres",
                format!(
                    "{kind:?}, {model:?}, {count}: kind and model are letters, digits, '.', '_' and '-', and the count is at least 1"
                ),
                format!(
                    "{kind:?}、{model:?}、{count}：种类和型号由字母、数字、'.'、'_'、'-' 组成，数量至少为 1"
                ),
            ));
        }
        Ok(Self { kind: kind.to_owned(), model: model.map(str::to_owned), count })
    }

    /// As `--gres` takes it.
    pub(crate) fn text(&self) -> String {
        match &self.model {
            Some(model) => format!("{}:{model}:{}", self.kind, self.count),
            None => format!("{}:{}", self.kind, self.count),
        }
    }
}

/// Reads a node's or a job's generic resources. Empty for `""`, `(null)` and `N/A`.
pub fn parse_gres(text: &str) -> Result<Vec<GresEntry>, Error> {
    let text = text.trim();
    if text.is_empty() || text == "(null)" || text == "N/A" {
        return Ok(Vec::new());
    }
    split(text).into_iter().filter(|part| !part.trim().is_empty()).map(entry).collect()
}

/// At the commas outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 && parts.len() < MOST => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn entry(part: &str) -> Result<GresEntry, Error> {
    let bad = || Error::Devices {
        why: format!("{:?} is no generic resource", part.chars().take(80).collect::<String>()),
    };
    let part = part.trim();
    let (body, notes) = match part.split_once('(') {
        Some((body, rest)) => (body, rest.strip_suffix(')').ok_or_else(bad)?),
        None => (part, ""),
    };
    let body = body.strip_prefix("gres:").or_else(|| body.strip_prefix("gres/")).unwrap_or(body);
    let mut words = body.split(':').collect::<Vec<_>>();
    if words.len() > 3 || words[0].is_empty() {
        return Err(bad());
    }
    let count = match words.last().and_then(|word| number(word)) {
        Some(count) if words.len() > 1 => {
            words.pop();
            count
        }
        // `gpu` and `gpu:h100` mean one.
        _ => 1,
    };
    if words.len() > 2 {
        return Err(bad());
    }
    let indices = match notes.split_once("IDX:") {
        Some((_, list)) if list == "N/A" || list.is_empty() => Some(Vec::new()),
        Some((_, list)) => Some(ranges(list, MOST).ok_or_else(bad)?),
        None => None,
    };
    Ok(GresEntry { kind: words[0].to_owned(), model: words.get(1).map(|w| (*w).to_owned()), count, indices })
}

/// A count, with the binary suffix that Slurm writes for large ones.
fn number(word: &str) -> Option<u64> {
    let (digits, shift) = match word.as_bytes().last()? {
        b'K' | b'k' => (&word[..word.len() - 1], 10),
        b'M' | b'm' => (&word[..word.len() - 1], 20),
        b'G' | b'g' => (&word[..word.len() - 1], 30),
        b'T' | b't' => (&word[..word.len() - 1], 40),
        _ => (word, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_shl(shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> GresEntry {
        parse_gres(text).expect("reads").pop().expect("one")
    }

    #[test]
    fn what_nodes_and_jobs_report() {
        let all = parse_gres("dcu:0,gpu:h100:2(IDX:0-1,3),mlu:mlu370:0(IDX:N/A),npu:0").expect("reads");
        assert_eq!(all.len(), 4);
        assert_eq!(all[1].indices, Some(vec![0, 1, 3]));
        assert_eq!(all[1].model.as_deref(), Some("h100"));
        assert_eq!(all[2].indices, Some(vec![]));
        assert_eq!(all[0].indices, None);
        assert_eq!(one("gpu:8(S:0-1)").count, 8);
        assert_eq!(one("gres/gpu:a100:4").model.as_deref(), Some("a100"));
        assert_eq!(one("gpu:h100").count, 1);
        assert_eq!(one("shard:2K").count, 2048);
        assert!(parse_gres("(null)").expect("reads").is_empty());
        assert!(parse_gres("gpu:2(IDX:0-").is_err());
        assert!(parse_gres("gpu:1(IDX:0-4000000000)").is_err());
    }

    #[test]
    fn requests_are_checked() {
        assert_eq!(GresRequest::new("gpu", Some("h100"), 2).expect("fine").text(), "gpu:h100:2");
        assert_eq!(GresRequest::new("mlu", None, 1).expect("fine").text(), "mlu:1");
        for (kind, model, count) in
            [("", None, 1), ("gpu", Some("a,b"), 1), ("gpu", None, 0), ("g pu", None, 1)]
        {
            assert!(GresRequest::new(kind, model, count).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "\\PC{0,60}|[a-z0-9:,()IDX\\-]{0,60}") {
            let _ = parse_gres(&text);
        }

        #[test]
        fn written_entries_are_read_again(kind in "[a-z]{1,8}", model in "[a-z][a-z0-9]{0,7}", from in 0_u32..8, len in 1_u32..8) {
            let last = from + len - 1;
            let entry = one(&format!("{kind}:{model}:{len}(IDX:{from}-{last})"));
            prop_assert_eq!(entry.count, u64::from(len));
            prop_assert_eq!(entry.indices, Some((from..=last).collect::<Vec<_>>()));
        }
    }
}
