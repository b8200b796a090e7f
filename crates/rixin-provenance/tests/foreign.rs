//! Foreign bytes: bounded, and never a panic.

mod common;

use std::io::Write;

use common::{Instance, examples, lineage, request, source};
use proptest::{prelude::*, sample::Index};
use rixin_base::{Code, Explain};
use rixin_provenance::{
    Limits, Media, SealRequest, Sealed, Trust, Verdict, Verifier, read_label, write_label,
};

struct Bench {
    instance: Instance,
    verifier: Verifier,
    sealed: Vec<(Media, Sealed)>,
}

thread_local! {
    static BENCH: Bench = {
        let instance = Instance::new();
        let sealed = examples().into_iter().map(|(media, bytes)| (media, instance.seal(media, bytes))).collect();
        Bench { verifier: instance.verifier(), instance, sealed }
    };
}

/// Everything that reads them.
fn read_all(bench: &Bench, media: Media, bytes: &[u8], sidecar: Option<&[u8]>) {
    let _ = read_label(media, bytes);
    if let Some(label) = &bench.sealed[0].1.label {
        let _ = write_label(media, bytes, label);
    }
    let report = bench.verifier.verify(source(bytes), sidecar).expect("small enough");
    assert!(!report.explanation.en.is_empty() && !report.explanation.zh.is_empty());
    let lineage = lineage("foreign");
    let request: SealRequest = request(media, &lineage);
    if let Ok(sealed) = bench.instance.signer.seal(&request, bytes.to_vec()) {
        let report = bench.verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
        // What could be signed at all holds, as long as it is still what it was taken for.
        if report.media == media {
            assert_eq!(report.verdict, Verdict::Valid, "{media:?}: {report:#?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), which in 0..13usize) {
        BENCH.with(|bench| read_all(bench, bench.sealed[which].0, &bytes, Some(&bytes)));
    }

    #[test]
    fn damaged_files_are_read_without_harm(
        which in 0..13usize,
        edits in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..12),
        cut in any::<Index>(),
        shorten in any::<bool>(),
    ) {
        BENCH.with(|bench| {
            let (media, sealed) = &bench.sealed[which];
            let damage = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                for (at, value) in &edits {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
                if shorten {
                    bytes.truncate(cut.index(bytes.len()).max(1));
                }
                bytes
            };
            let sidecar = sealed.sidecar.as_deref().map(damage);
            read_all(bench, *media, &damage(&sealed.bytes), sidecar.as_deref());
        });
    }

    #[test]
    fn damaged_plain_files_are_read_without_harm(
        which in 0..7usize,
        edits in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        BENCH.with(|bench| {
            let (media, mut bytes) = examples().remove(which);
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            read_all(bench, media, &bytes, None);
        });
    }
}

#[test]
fn limits_are_kept() {
    BENCH.with(|bench| {
        let trust = Trust::of(&bench.instance.authority(), "", "").expect("trust");
        let small =
            Verifier::new(trust.clone(), Limits { file: 1000, ..Limits::default() }).expect("a verifier");
        let error = small.verify(source(&[0; 1001]), None).expect_err("too large");
        assert_eq!(error.code(), Code::BodyTooLarge);
        let narrow =
            Verifier::new(trust, Limits { credentials: 1000, ..Limits::default() }).expect("a verifier");
        for (media, sealed) in &bench.sealed {
            let error =
                narrow.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect_err("too large");
            assert_eq!(error.code(), Code::BodyTooLarge, "{media:?}");
        }
    });
}

#[test]
fn boxes_in_boxes_end() {
    BENCH.with(|bench| {
        // A PNG whose credentials are boxes in boxes, a hundred thousand deep.
        let mut store = Vec::new();
        for _ in 0..100_000 {
            store.extend_from_slice(&[0, 0, 0, 0]);
            store.write_all(b"jumb").expect("written");
        }
        let png = &bench.sealed[0].1.bytes;
        let at = png.windows(4).position(|w| w == b"caBX").expect("credentials");
        let len = u32::from_be_bytes(png[at - 4..at].try_into().expect("four")) as usize;
        let mut new = png[..at - 4].to_vec();
        new.extend_from_slice(&(store.len() as u32).to_be_bytes());
        new.write_all(b"caBX").expect("written");
        new.extend_from_slice(&store);
        new.extend_from_slice(&[0; 4]);
        new.extend_from_slice(&png[at + 4 + len + 4..]);
        let report = bench.verifier.verify(source(&new), None).expect("read");
        assert_eq!(report.verdict, Verdict::Changed);
    });
}
