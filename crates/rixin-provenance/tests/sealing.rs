//! Signing and verifying, every kind of file.

mod common;

use common::{Instance, examples, lineage, options, request, source};
use rixin_provenance::{
    Act, ChangedPart, EdgeKind, Media, NodeKind, Origin, Parent, ParentUse, Privacy, Relation, SignerOptions,
    SourceType, TenantPrivacy, Verdict, pseudonym, read_label,
};

#[test]
fn every_kind_is_signed_and_holds() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    for (media, bytes) in examples() {
        let sealed = instance.seal(media, bytes.clone());
        assert_eq!(sealed.sidecar.is_some(), !media.embeds(), "{media:?}");
        let report = verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
        assert_eq!(report.verdict, Verdict::Valid, "{media:?}: {report:#?}");
        assert_eq!(report.sha256, sealed.sha256);
        assert_eq!(report.content_sha256.as_ref(), Some(&sealed.content_sha256), "{media:?}");
        assert_eq!(report.label, sealed.label);
        let signer = report.signer.expect("a signer");
        assert!(signer.own && signer.trusted);
        assert_eq!(signer.organisation.as_deref(), Some("Test Hospital"));
        assert_eq!(report.actions, ["c2pa.created"]);
        assert_eq!(report.digital_source_type.as_deref(), Some(SourceType::Generated.uri()));
        let told = report.lineage.expect("a lineage");
        assert_eq!(told.seed, Some(42));
        assert_eq!(told.prompt, None, "left out by default");
        if media.embeds() {
            assert_eq!(read_label(media, &sealed.bytes).expect("read"), sealed.label);
        } else {
            assert_eq!(sealed.bytes, bytes);
        }
    }
}
