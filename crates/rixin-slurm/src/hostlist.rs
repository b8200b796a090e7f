//! Slurm's host lists: `n[1-3,07],login`.

/// The hosts of a list, in its order; `None` if it is malformed or has more than `most`.
pub fn expand(list: &str, most: usize) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let bracket = rest.find('[');
        let comma = rest.find(',');
        match (bracket, comma) {
            (Some(open), comma) if comma.is_none_or(|comma| open < comma) => {
                let close = open + rest[open..].find(']')?;
                let (prefix, inside) = (&rest[..open], &rest[open + 1..close]);
                let after = &rest[close + 1..];
                let (suffix, next) = after.split_once(',').unwrap_or((after, ""));
                // Lists with two brackets name machines of multidimensional networks.
                if suffix.contains('[') {
                    return None;
                }
                for range in inside.split(',') {
                    let (from, to) = range.split_once('-').unwrap_or((range, range));
                    let (first, last): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
                    if first > last || last - first >= most as u64 {
                        return None;
                    }
                    let width = from.len();
                    hosts.extend((first..=last).map(|n| format!("{prefix}{n:0width$}{suffix}")));
                    if hosts.len() > most {
                        return None;
                    }
                }
                rest = next;
            }
            _ => {
                let (host, next) = rest.split_once(',').unwrap_or((rest, ""));
                if !host.is_empty() {
                    hosts.push(host.to_owned());
                }
                if hosts.len() > most {
                    return None;
                }
                rest = next;
            }
        }
    }
    Some(hosts)
}

/// Numbers and ranges, `0-1,3`; `None` if malformed or more than `most`.
pub(crate) fn ranges(list: &str, most: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in list.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if first > last || (last - first) as usize >= most || numbers.len() >= most {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists() {
        assert_eq!(expand("n[1-3,07],login", 99).expect("reads"), ["n1", "n2", "n3", "n07", "login"]);
        assert_eq!(expand("a,b[09-10]x", 99).expect("reads"), ["a", "b09x", "b10x"]);
        assert_eq!(expand("", 99).expect("reads"), [""; 0]);
        assert_eq!(expand("n[1-", 99), None);
        assert_eq!(expand("n[1-1000000000000]", 99), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_them(text in "\\PC{0,60}|[n0-9,\\[\\]\\-]{0,60}") {
            let _ = expand(&text, 100);
            let _ = ranges(&text, 100);
        }
    }
}
