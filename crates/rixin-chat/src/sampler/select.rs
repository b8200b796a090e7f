//! The likeliest tokens of a row without sorting it.

use super::Candidate;

/// How many logits are looked at together: the maximum of a block compiles to a few vector instructions.
const BLOCK: usize = 64;

/// The index of the largest logit, the first on a tie. 0 for a row without a number.
pub(super) fn argmax(row: &[f32]) -> u32 {
    let mut best = f32::NEG_INFINITY;
    let mut best_block = 0;
    for (index, block) in row.chunks(BLOCK).enumerate() {
        let max = block_max(block);
        if max > best {
            best = max;
            best_block = index;
        }
    }
    let start = best_block * BLOCK;
    let block = row.get(start..).unwrap_or_default();
    block.iter().position(|&logit| logit == best).map_or(0, |at| (start + at) as u32)
}

/// The largest of a block; not-a-number counts as nothing.
fn block_max(block: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = block.chunks_exact(16);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    let rest = rest.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    lanes.iter().copied().fold(rest, |a, b| if b > a { b } else { a })
}

/// Likelier first, on a tie the smaller id.
pub(super) fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// The `k` likeliest, likeliest first. Fewer where fewer have a logit above `-inf`.
pub(super) fn top(row: &[f32], k: usize, out: &mut Vec<Candidate>) {
    out.clear();
    if k == 0 {
        return;
    }
    // A full buffer is cut down to its k likeliest, and then only what beats the worst of them comes in: about
    // k * ln(n / k) of n tokens are ever touched one by one.
    let room = 4 * k + BLOCK;
    let mut threshold = f32::NEG_INFINITY;
    for (index, block) in row.chunks(BLOCK).enumerate() {
        // On a tie the earlier id stays, so only what is strictly greater can still matter.
        if block_max(block) <= threshold {
            continue;
        }
        let start = (index * BLOCK) as u32;
        out.extend(
            (start..)
                .zip(block)
                .filter(|&(_, &logit)| logit > threshold)
                .map(|(id, &logit)| Candidate { id, logit }),
        );
        if out.len() + BLOCK > room {
            shrink(out, k);
            if out.len() == k {
                threshold = out[k - 1].logit;
            }
        }
    }
    shrink(out, k);
    out.sort_unstable_by(order);
}

/// Keeps the `k` likeliest, the least likely of them last.
fn shrink(out: &mut Vec<Candidate>, k: usize) {
    if out.len() > k {
        out.select_nth_unstable_by(k - 1, order);
        out.truncate(k);
    }
}
