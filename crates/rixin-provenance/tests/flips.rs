//! Any flipped byte in a signed file, or in the credentials beside it, is found.

mod common;

use common::{Instance, examples, source};
use proptest::prelude::*;
use rixin_provenance::{Media, Sealed, Verdict, Verifier};

/// Flips bits of one byte; the byte lies in the credentials beside the file when it is past the file's end.
fn flipped(sealed: &Sealed, at: usize, mask: u8) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut bytes, mut sidecar) = (sealed.bytes.clone(), sealed.sidecar.clone());
    match bytes.get_mut(at) {
        Some(byte) => *byte ^= mask,
        None => {
            let beside = sidecar.as_mut().expect("past the end only where there is a file beside");
            beside[at - bytes.len()] ^= mask;
        }
    }
    (bytes, sidecar)
}

fn len(sealed: &Sealed) -> usize {
    sealed.bytes.len() + sealed.sidecar.as_ref().map_or(0, Vec::len)
}

fn found(verifier: &Verifier, sealed: &Sealed, at: usize, mask: u8) -> bool {
    let (bytes, sidecar) = flipped(sealed, at, mask);
    verifier.verify(source(&bytes), sidecar.as_deref()).expect("read").verdict != Verdict::Valid
}

thread_local! {
    static SEALED: (Verifier, Vec<(Media, Sealed)>) = {
        let instance = Instance::new();
        let all = examples().into_iter().map(|(media, bytes)| (media, instance.seal(media, bytes))).collect();
        (instance.verifier(), all)
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_flipped_byte_is_found(which in 0..13usize, place in 0.0..1.0f64, mask in 1..=255u8) {
        SEALED.with(|(verifier, all)| {
            let (media, sealed) = &all[which];
            let at = (place * len(sealed) as f64) as usize;
            prop_assert!(found(verifier, sealed, at, mask), "{media:?}: byte {at} ^ {mask:#x}");
            Ok(())
        })?;
    }
}

/// Every byte of every kind: minutes. `cargo test --release -p rixin-provenance --test flips -- --ignored`
#[test]
#[ignore = "takes minutes; the property test draws from the same bytes"]
fn every_flipped_byte_is_found() {
    SEALED.with(|(verifier, all)| {
        for (media, sealed) in all {
            let missed: Vec<usize> =
                (0..len(sealed)).filter(|at| !found(verifier, sealed, *at, 1 << (at % 8))).collect();
            assert!(missed.is_empty(), "{media:?} ({} bytes): {missed:?}", len(sealed));
            println!("{media:?}: {} of {} bytes found", len(sealed), len(sealed));
        }
    });
}

#[test]
fn bytes_cut_off_or_added_are_found() {
    SEALED.with(|(verifier, all)| {
        for (media, sealed) in all {
            for cut in [1, 2, 100] {
                let short = &sealed.bytes[..sealed.bytes.len() - cut.min(sealed.bytes.len() - 1)];
                let report = verifier.verify(source(short), sealed.sidecar.as_deref()).expect("read");
                assert_ne!(report.verdict, Verdict::Valid, "{media:?}");
            }
            let mut long = sealed.bytes.clone();
            long.extend_from_slice(b"\0more");
            let report = verifier.verify(source(&long), sealed.sidecar.as_deref()).expect("read");
            assert_ne!(report.verdict, Verdict::Valid, "{media:?}");
        }
    });
}

/// Credentials that JPEG has to split into segments, and others' JUMBF boxes beside them.
#[test]
fn credentials_in_many_segments_are_whole() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    let mut lineage = common::lineage("long");
    lineage.parameters.insert("prompt".into(), "words ".repeat(30_000).into());
    let sealed = instance
        .signer
        .seal(&common::request(Media::Jpeg, &lineage), examples().remove(1).1)
        .expect("sealed");
    let segments: Vec<usize> =
        sealed.bytes.windows(2).enumerate().filter(|(_, w)| w == b"JP").map(|(n, _)| n).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(verifier.verify(source(&sealed.bytes), None).expect("read").verdict, Verdict::Valid);
    for segment in segments {
        for at in segment - 4..segment + 40 {
            assert!(found(&verifier, &sealed, at, 1), "byte {at}");
        }
    }
    let mut other = b"\xff\xeb\0\x28JP\0\x09\0\0\0\x01\0\0\0\x1cjumb\0\0\0\x14jumdother".to_vec();
    other.resize(42, 0);
    let plain = examples().remove(1).1;
    let both = [&plain[..2], &other, &plain[2..]].concat();
    let sealed = instance.signer.seal(&common::request(Media::Jpeg, &lineage), both).expect("sealed");
    let verdict = verifier.verify(source(&sealed.bytes), None).expect("read").verdict;
    assert_eq!(verdict, Verdict::Valid);
}
