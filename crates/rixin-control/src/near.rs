//! Names that look alike.

/// The most names, and the longest that are compared.
const MOST: usize = 3;
const LONGEST: usize = 100;

/// Up to three names that a person may have meant, the nearest first: a few letters differ, or one is part of the other.
pub(crate) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let asked: String = asked.to_lowercase().chars().take(LONGEST).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let limit = (asked.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower: String = name.to_lowercase().chars().take(LONGEST).collect();
            let part =
                asked.len() >= 3 && (lower.contains(&asked) || (lower.len() >= 3 && asked.contains(&lower)));
            let distance = distance(&asked, &lower);
            (part || distance <= limit).then_some((if part { distance.min(limit) } else { distance }, name))
        })
        .collect();
    near.sort();
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_parts() {
        let names = ["smollm2-135m-instruct", "qwen3-0.6b", "qwen3-4b", "gemma-3-270m", "模型"];
        assert_eq!(nearest("smolm2-135m-instruct", names.into_iter())[0], "smollm2-135m-instruct");
        assert_eq!(nearest("qwen3", names.into_iter()), ["qwen3-0.6b", "qwen3-4b"]);
        assert!(nearest("whisper", names.into_iter()).is_empty());
        assert!(nearest("", names.into_iter()).is_empty());
    }
}
