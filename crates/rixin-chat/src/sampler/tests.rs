//! The fast paths against a sampler that sorts everything and does one thing after the other.

use proptest::prelude::*;

use super::*;
use select::order;

/// The filters as their papers and llama.cpp's server have them, on a fully sorted vocabulary.
fn reference(filters: &Filters, row: &[f32]) -> Vec<Candidate> {
    let mut list: Vec<Candidate> = (0..).zip(row).map(|(id, &logit)| Candidate { id, logit }).collect();
    list.sort_by(order);
    if filters.top_k > 0 {
        list.truncate(filters.top_k);
    }
    if filters.top_p < 1.0 {
        let probabilities = softmax(&list);
        let mut sum = 0.0;
        let mut kept = list.len();
        for (i, p) in probabilities.iter().enumerate() {
            sum += p;
            if sum >= filters.top_p {
                kept = i + 1;
                break;
            }
        }
        list.truncate(kept);
    }
    if filters.min_p > 0.0 {
        let least = list[0].logit + filters.min_p.ln();
        let first = list[0];
        list.retain(|c| c.logit >= least || c.id == first.id);
    }
    for candidate in &mut list {
        candidate.logit /= filters.temperature;
    }
    list
}

fn softmax(list: &[Candidate]) -> Vec<f32> {
    let max = list.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = list.iter().map(|c| (c.logit - max).exp()).sum();
    list.iter().map(|c| (c.logit - max).exp() / sum).collect()
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    // Logits in steps of 1/8, so that ties happen.
    prop::collection::vec((-80i32..80).prop_map(|n| n as f32 / 8.0), 1..700)
}

fn filters() -> impl Strategy<Value = Filters> {
    (
        prop_oneof![Just(0usize), 1usize..80],
        prop_oneof![Just(1.0f32), 0.01f32..1.0],
        prop_oneof![Just(0.0f32), 0.001f32..1.0],
        0.1f32..3.0,
    )
        .prop_map(|(top_k, top_p, min_p, temperature)| Filters { temperature, top_k, top_p, min_p })
}

proptest! {
    #[test]
    fn the_likeliest_is_the_first_of_the_sorted(row in row()) {
        let mut list: Vec<Candidate> = (0..).zip(&row).map(|(id, &logit)| Candidate { id, logit }).collect();
        list.sort_by(order);
        prop_assert_eq!(argmax(&row), list[0].id);
    }

    #[test]
    fn partial_selection_is_sorting_and_cutting(row in row(), k in 1usize..300) {
        let mut list: Vec<Candidate> = (0..).zip(&row).map(|(id, &logit)| Candidate { id, logit }).collect();
        list.sort_by(order);
        list.truncate(k);
        let mut out = Vec::new();
        top(&row, k, &mut out);
        prop_assert_eq!(out, list);
    }

    #[test]
    fn the_filters_keep_what_the_reference_keeps(row in row(), filters in filters()) {
        let want = reference(&filters, &row);
        let mut out = Vec::new();
        keep(&filters, &row, &mut out);
        out.sort_by_key(|c| c.id);
        let mut want_sorted = want.clone();
        want_sorted.sort_by_key(|c| c.id);
        // Where top-p ends between two sums that differ by rounding alone, one token more or less is right too.
        if out.len() != want_sorted.len() {
            prop_assert!(filters.top_p < 1.0 && out.len().abs_diff(want_sorted.len()) == 1);
        } else {
            prop_assert_eq!(out, want_sorted);
        }
    }

    #[test]
    fn a_draw_takes_each_as_often_as_its_probability(row in prop::collection::vec(-4.0f32..4.0, 2..12)) {
        let list: Vec<Candidate> = (0..).zip(&row).map(|(id, &logit)| Candidate { id, logit }).collect();
        let probabilities = softmax(&list);
        let n = 20_000;
        let mut counts = vec![0u32; row.len()];
        for i in 0..n {
            counts[filter::draw(&list, (f64::from(i) + 0.5) / f64::from(n)) as usize] += 1;
        }
        for (count, p) in counts.iter().zip(probabilities) {
            prop_assert!((f64::from(*count) / f64::from(n) - f64::from(p)).abs() < 2e-4);
        }
    }

    #[test]
    fn penalties_are_those_of_the_window(
        tokens in prop::collection::vec(0u32..20, 0..200),
        window in 0u32..80,
        repetition in 0.5f32..2.0,
        presence in -1.0f32..1.0,
        frequency in -1.0f32..1.0,
    ) {
        let sampling = Sampling {
            penalty_window: window,
            repetition_penalty: repetition,
            presence_penalty: presence,
            frequency_penalty: frequency,
            ..Sampling::default()
        };
        let mut penalties = Penalties::from(&sampling);
        tokens.iter().for_each(|&token| penalties.push(token));
        let before: Vec<f32> = (0..20).map(|i| i as f32 - 10.0).collect();
        let mut after = before.clone();
        penalties.apply(&mut after);
        let tail = &tokens[tokens.len().saturating_sub(window as usize)..];
        for id in 0..20u32 {
            let count = tail.iter().filter(|&&token| token == id).count();
            let logit = before[id as usize];
            let want = if count == 0 {
                logit
            } else {
                let scaled = if logit <= 0.0 { logit * repetition } else { logit / repetition };
                scaled - count as f32 * frequency - presence
            };
            prop_assert!((after[id as usize] - want).abs() < 1e-4);
        }
    }

    #[test]
    fn the_seed_decides(row in row(), seed in any::<u64>()) {
        let run = || {
            let sampling = Sampling { seed: Some(seed), ..Sampling::default() };
            let mut sampler = Sampler::from_parts(&sampling, Vec::new(), None);
            let mut scratch = Scratch::default();
            (0..8)
                .map(|place| sampler.choose(&row, place, &mut scratch).expect("no grammar").token)
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }
}

#[test]
fn random_numbers_are_even() {
    let mut buckets = [0u32; 10];
    for place in 0..10_000 {
        buckets[(uniform(7, place) * 10.0) as usize] += 1;
    }
    assert!(buckets.iter().all(|n| (900..1100).contains(n)), "{buckets:?}");
}

#[test]
fn rows_of_nothing_do_not_break() {
    assert_eq!(argmax(&[]), 0);
    assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), 1);
    assert_eq!(argmax(&[f32::NAN, -3.0]), 1);
    let mut out = Vec::new();
    top(&[f32::NAN, f32::NEG_INFINITY, 1.0], 2, &mut out);
    assert_eq!(out, [Candidate { id: 2, logit: 1.0 }]);
}

#[test]
fn a_forbidden_token_never_comes_and_a_favoured_one_does() {
    let sampling = Sampling::greedy();
    let mut scratch = Scratch::default();
    let mut sampler = Sampler::from_parts(&sampling, vec![(1, f32::NEG_INFINITY), (2, 5.0)], None);
    let choice = sampler.choose(&[0.0, 9.0, 1.0, 5.5], 0, &mut scratch).expect("no grammar");
    assert_eq!(choice.token, Token(2));
}

#[test]
fn logprobs_are_of_the_distribution_before_any_filter() {
    let row = [1.0f32, 2.0, 3.0];
    let mut sampler = Sampler::from_parts(&Sampling::greedy(), vec![(2, f32::NEG_INFINITY)], Some(2));
    let choice = sampler.choose(&row, 0, &mut Scratch::default()).expect("no grammar");
    let norm = row.iter().map(|l| l.exp()).sum::<f32>().ln();
    assert_eq!(choice.token, Token(1));
    assert!((choice.logprob.expect("asked for") - (2.0 - norm)).abs() < 1e-6);
    assert_eq!(choice.top.iter().map(|t| t.0.0).collect::<Vec<_>>(), [2, 1]);
    assert!((choice.top[0].1 - (3.0 - norm)).abs() < 1e-6);
}
