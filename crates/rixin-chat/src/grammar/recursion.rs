//! What rules lead to before a character is taken: loops that never end, and searches that take too long.

use std::collections::HashMap;

use super::{
    GrammarError,
    gbnf::{Element, Rules},
};

/// Longest chain of rules before a character: llama.cpp's search recurses along it.
const MAX_CHAIN: usize = 5000;
/// Most steps of llama.cpp's search for left recursion, which visits a rule once for each way to it.
const MAX_VISITS: u64 = 1_000_000;

impl Rules {
    /// Which rules can be empty. Each sequence of rules alone waits for as many of them as it has.
    fn nullable(&self) -> Vec<bool> {
        let mut nullable = vec![false; self.rules.len()];
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.rules.len()];
        let mut waits: Vec<(usize, usize)> = Vec::new();
        let mut ready: Vec<usize> = Vec::new();
        for (id, sequence) in
            self.rules.iter().enumerate().flat_map(|(id, rule)| rule.iter().map(move |s| (id, s)))
        {
            if sequence.is_empty() {
                ready.push(id);
            } else if sequence.iter().all(|e| matches!(e, Element::Rule(_))) {
                for element in sequence {
                    if let Element::Rule(rule) = element {
                        users[*rule as usize].push(waits.len());
                    }
                }
                waits.push((id, sequence.len()));
            }
        }
        while let Some(id) = ready.pop() {
            if std::mem::replace(&mut nullable[id], true) {
                continue;
            }
            for user in &users[id] {
                let (rule, left) = &mut waits[*user];
                *left -= 1;
                if *left == 0 {
                    ready.push(*rule);
                }
            }
        }
        nullable
    }

    /// Refuses rules that reach themselves before a character, and those on which llama.cpp's own search would not end soon.
    pub(super) fn check_recursion(&self, names: &HashMap<u32, &str>) -> Result<(), GrammarError> {
        let nullable = self.nullable();
        let leftmost: Vec<Vec<u32>> = self
            .rules
            .iter()
            .map(|rule| {
                let mut refs = Vec::new();
                for sequence in rule {
                    for element in sequence {
                        let Element::Rule(id) = element else { break };
                        refs.push(*id);
                        if !nullable[*id as usize] {
                            break;
                        }
                    }
                }
                refs
            })
            .collect();
        // Depth-first without recursion; `visits` is what llama.cpp's search without memory would take.
        let mut visits: Vec<Option<u64>> = vec![None; self.rules.len()];
        let mut open = vec![false; self.rules.len()];
        for start in 0..self.rules.len() as u32 {
            let mut path = vec![(start, 0usize)];
            while let Some((rule, next)) = path.pop() {
                let id = rule as usize;
                if visits[id].is_some() {
                    continue;
                }
                open[id] = true;
                if let Some(child) = leftmost[id].get(next) {
                    path.push((rule, next + 1));
                    if open[*child as usize] {
                        return Err(left_recursion(path.iter().rev().find_map(|(r, _)| names.get(r))));
                    }
                    path.push((*child, 0));
                    if path.len() > MAX_CHAIN {
                        return Err(too_tangled());
                    }
                    continue;
                }
                open[id] = false;
                let total = leftmost[id]
                    .iter()
                    .fold(1u64, |sum, child| sum.saturating_add(visits[*child as usize].unwrap_or(1)));
                if total > MAX_VISITS {
                    return Err(too_tangled());
                }
                visits[id] = Some(total);
            }
        }
        Ok(())
    }
}

fn too_tangled() -> GrammarError {
    GrammarError::unusable("its rules refer to each other in too many ways", "规则之间的相互引用过多")
}

fn left_recursion(name: Option<&&str>) -> GrammarError {
    let name = name.copied().unwrap_or("root");
    GrammarError::unusable(
        format!(
            "the rule '{name}' reaches itself without a character in between (left recursion, or a repetition of something that can be empty)"
        ),
        format!("规则 '{name}' 未消耗任何字符就回到自身（左递归，或重复了可为空的内容）"),
    )
}
