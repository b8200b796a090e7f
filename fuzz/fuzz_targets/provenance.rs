//! Signed and labelled media: whatever a stranger's file holds, reading, labelling and verifying it ends without harm.
#![no_main]

mod bound;

use std::sync::LazyLock;

use rixin_provenance::{AigcLabel, AigcMark, Limits, Media, Source, Trust, Verdict, Verifier, read_label, write_label};

static VERIFIER: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::new(Trust::default(), Limits::default()).expect("no anchors"));
static LABEL: LazyLock<AigcLabel> =
    LazyLock::new(|| AigcLabel::first(AigcMark::Generated, "producer", "id").expect("a label"));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let media = Media::ALL[usize::from(*kind) % Media::ALL.len()];
    let had = read_label(media, bytes);
    if let Ok(labelled) = write_label(media, bytes, &LABEL) {
        assert!(matches!(had, Ok(None)), "a label is written once");
        assert_eq!(read_label(media, &labelled).expect("what was written can be read").as_ref(), Some(&*LABEL));
    }
    let report = VERIFIER.verify(Source::Bytes(bytes), None).expect("a finding, not an error");
    // Nobody is trusted here.
    assert_ne!(report.verdict, Verdict::Valid);
    assert!(!report.explanation.en.is_empty() && !report.explanation.zh.is_empty());
});
