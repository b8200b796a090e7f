//! Signing and verifying, every kind of file.

mod common;

use common::{Instance, PRODUCER, examples, hash, lineage, options, request, source, write};
use rixin_provenance::{
    Act, ChangedPart, EdgeKind, Limits, Media, NodeKind, Origin, Parent, ParentUse, Privacy, Relation,
    SignerOptions, Source, SourceType, TenantPrivacy, Trust, Verdict, Verifier, pseudonym, read_label,
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
        for text in [&report.explanation.en, &report.explanation.zh] {
            assert!(text.contains("Test Hospital"), "{text}");
        }
    }
}

#[test]
fn files_on_disk_are_sealed_like_bytes() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    let lineage = lineage("on-disk");
    let dir = tempfile::tempdir().expect("a folder");
    for (index, (media, bytes)) in examples().into_iter().enumerate() {
        let from = dir.path().join(format!("from-{index}.{}", media.extension()));
        let to = dir.path().join(format!("to-{index}.{}", media.extension()));
        write(&from, &bytes);
        let sealed = instance.signer.seal_file(&request(media, &lineage), &from, &to).expect("sealed");
        assert_eq!(sealed.size, std::fs::metadata(&to).expect("there").len());
        let report = verifier.verify(Source::Path(&to), sealed.sidecar.as_deref()).expect("read");
        assert_eq!((report.verdict, report.media), (Verdict::Valid, media), "{report:#?}");
        assert_eq!((report.sha256, report.content_sha256), (sealed.sha256, Some(sealed.content_sha256)));
    }
}

#[test]
fn the_content_is_not_encoded_anew() {
    let instance = Instance::new();
    for (media, bytes) in examples().into_iter().filter(|(m, _)| m.embeds()) {
        let before = instance.verifier().verify(source(&bytes), None).expect("read").content_sha256;
        assert_eq!(Some(instance.seal(media, bytes).content_sha256), before, "{media:?}");
    }
    for index_first in [true, false] {
        let sealed = instance.seal(Media::Mp4, common::mp4(index_first)).bytes;
        assert_eq!(common::chunk(&sealed, 0), b"chunk-one");
        assert_eq!(common::chunk(&sealed, 1), b"chunk-two");
    }
}

#[test]
fn the_graph_shows_the_chain() {
    let instance = Instance::new();
    let sealed = instance.seal(Media::Png, examples().remove(0).1);
    let graph = instance.verifier().verify(source(&sealed.bytes), None).expect("read").graph;
    let node = |name: &str| graph.nodes.iter().find(|n| n.name == name).expect(name);
    assert_eq!(graph.nodes[0].kind, NodeKind::File);
    let (base, style) = (node("base-model"), node("our-style"));
    assert_eq!((base.kind, base.origin), (NodeKind::Model, Some(Origin::Imported)));
    assert_eq!(base.licence.as_ref().expect("a licence").name, "Apache-2.0");
    assert_eq!((style.kind, style.origin), (NodeKind::Adapter, Some(Origin::Trained)));
    let has = |from: &str, to: &str, kind| {
        graph.edges.iter().any(|e| e.from == from && e.to == to && e.kind == kind)
    };
    assert!(has("file", &base.id, EdgeKind::MadeWith));
    assert!(has(&style.id, &base.id, EdgeKind::BasedOn));
    assert!(has(&style.id, &node("photos").id, EdgeKind::TrainedOn));
    assert!(has(&node("photos").id, &node("two.jpg").id, EdgeKind::Contains));
    assert_eq!(graph.nodes.len(), 6, "{graph:#?}");
}

#[test]
fn inputs_keep_their_credentials() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    let picture = examples().remove(0).1;
    let first = instance.seal(Media::Png, picture.clone());
    let mesh = instance.seal(Media::Glb, b"glTF\x02\0\0\0mesh".to_vec());
    let of = |id: &str, sha256: &str, relation, media: Media| ParentUse {
        id: id.into(),
        sha256: sha256.into(),
        relation,
        media_type: Some(media.mime().into()),
    };
    let mut edited = lineage("edited");
    edited.act = Act::Edited;
    edited.source_type = SourceType::CompositeWithGenerated;
    edited.models.clear();
    edited.parents = vec![
        of("artifact-1", &first.sha256, Relation::Parent, Media::Png),
        of("mesh-1", &mesh.sha256, Relation::Component, Media::Glb),
        of("notes.txt", &hash(0x66), Relation::Input, Media::Text),
    ];
    let parents = [
        Parent { id: "artifact-1", media: Media::Png, source: source(&first.bytes), sidecar: None },
        Parent {
            id: "mesh-1",
            media: Media::Glb,
            source: source(&mesh.bytes),
            sidecar: mesh.sidecar.as_deref(),
        },
    ];
    let mut request = request(Media::Jpeg, &edited);
    request.parents = &parents;
    let sealed = instance.signer.seal(&request, examples().remove(1).1).expect("sealed");
    let report = verifier.verify(source(&sealed.bytes), None).expect("read");
    assert_eq!(report.verdict, Verdict::Valid, "{report:#?}");
    assert_eq!(report.actions, ["c2pa.opened", "c2pa.edited", "c2pa.placed"]);
    assert_eq!(report.digital_source_type.as_deref(), Some(SourceType::CompositeWithGenerated.uri()));
    let graph = report.graph;
    let input =
        |name: &str| graph.nodes.iter().find(|n| n.kind == NodeKind::Input && n.name == name).expect(name);
    assert_eq!(input("artifact-1").credentials_hold, Some(true));
    assert_eq!(input("mesh-1").credentials_hold, Some(true));
    assert_eq!(input("notes.txt").credentials_hold, None);
    let kind = |name: &str| {
        graph.edges.iter().find(|e| e.from == "file" && e.to == input(name).id).expect(name).kind
    };
    assert_eq!(kind("artifact-1"), EdgeKind::EditedFrom);
    assert_eq!(kind("mesh-1"), EdgeKind::ComposedOf);
    assert_eq!(kind("notes.txt"), EdgeKind::DerivedFrom);
    // What the input was made with came along.
    let model = graph.nodes.iter().find(|n| n.name == "base-model").expect("the input's model");
    assert!(graph.edges.iter().any(|e| e.from == input("artifact-1").id && e.to == model.id));
}

#[test]
fn privacy_is_a_setting() {
    let told = |privacy: Privacy| {
        let instance = Instance::with(SignerOptions { privacy, ..options() });
        let sealed = instance.seal(Media::Png, examples().remove(0).1);
        let lineage = instance.verifier().verify(source(&sealed.bytes), None).expect("read").lineage;
        let lineage = lineage.expect("a lineage");
        let key = std::fs::read(instance.dir.path().join("pseudonym.key")).expect("a key");
        (lineage.tenant, lineage.prompt, pseudonym(&key, "ward-7"))
    };
    let (tenant, prompt, name) = told(Privacy::default());
    assert_eq!((tenant, prompt), (Some(name), None));
    let (tenant, prompt, _) = told(Privacy { tenant: TenantPrivacy::Plain, prompt: true });
    assert_eq!((tenant.as_deref(), prompt.as_deref()), (Some("ward-7"), Some("一只猫")));
    let (tenant, _, _) = told(Privacy { tenant: TenantPrivacy::Omit, prompt: false });
    assert_eq!(tenant, None);
}

#[test]
fn strangers_are_not_believed() {
    let (here, there) = (Instance::new(), Instance::new());
    for (media, bytes) in examples() {
        let sealed = there.seal(media, bytes);
        let report = here.verifier().verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
        assert_eq!(report.verdict, Verdict::UnknownSigner, "{media:?}: {report:#?}");
        assert!(!report.signer.expect("a signer").own);
        // Once their root is an anchor, they are.
        let roots = there.authority().roots_pem().expect("roots");
        let trust = Trust::of(&here.authority(), PRODUCER, &roots).expect("trust");
        let verifier = Verifier::new(trust, Limits::default()).expect("a verifier");
        let report = verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
        assert_eq!(report.verdict, Verdict::Valid);
        assert!(!report.signer.expect("a signer").own);
    }
}

#[test]
fn what_was_changed_is_named() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    let part = |bytes: &[u8], sidecar: Option<&[u8]>| {
        let report = verifier.verify(source(bytes), sidecar).expect("read");
        assert_eq!(report.verdict, Verdict::Changed);
        report.changes[0].part
    };
    let sealed = instance.seal(Media::Wav, common::wav());
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what).expect("there");
    let flip = |at: usize| {
        let mut bytes = sealed.bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    assert_eq!(part(&flip(2000), None), ChangedPart::Content);
    assert_eq!(part(&flip(find(&sealed.bytes, b"our-style") + 3), None), ChangedPart::Statement);
    assert_eq!(part(&flip(find(&sealed.bytes, b"c2pa.claim.v2") + 40), None), ChangedPart::Signature);
    // The padding is under the seal alone.
    assert_eq!(part(&flip(find(&sealed.bytes, b"ai.rixin.seal") - 3), None), ChangedPart::Envelope);
    assert_eq!(part(&flip(find(&sealed.bytes, b"C2PA")), None), ChangedPart::Structure);
    let mesh = instance.seal(Media::Gguf, b"GGUF\x03\0\0\0weights".to_vec());
    assert_eq!(part(b"GGUF\x03\0\0\0Weights", mesh.sidecar.as_deref()), ChangedPart::Content);
}

#[test]
fn stripped_files_are_known_again() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    for (media, bytes) in examples().into_iter().filter(|(m, _)| m.embeds()) {
        let sealed = instance.seal(media, bytes.clone());
        // Without its credentials the label is left, which names this producer.
        let labelled = rixin_provenance::write_label(media, &bytes, &sealed.label.clone().expect("a label"))
            .expect("labelled");
        let report = verifier.verify(source(&labelled), None).expect("read");
        assert_eq!(report.verdict, Verdict::MetadataStripped, "{media:?}");
        // Without both, the store knows its content.
        let report = verifier.verify(source(&bytes), None).expect("read");
        assert_eq!(report.verdict, Verdict::NotSigned);
        let known =
            |_: &str, content: &str| (content == sealed.content_sha256).then(|| "artifact-1".to_owned());
        let report = verifier.verify_known(source(&bytes), None, &known).expect("read");
        assert_eq!(report.verdict, Verdict::MetadataStripped);
        assert_eq!(report.known_as.as_deref(), Some("artifact-1"));
        assert!(report.explanation.zh.contains("artifact-1"));
    }
}

#[test]
fn a_lineage_that_can_not_be_is_refused() {
    let instance = Instance::new();
    let refuse = |change: &dyn Fn(&mut rixin_provenance::Lineage)| {
        let mut lineage = lineage("bad");
        change(&mut lineage);
        let request = request(Media::Png, &lineage);
        instance.signer.seal(&request, examples().remove(0).1).expect_err("refused").to_string()
    };
    assert!(refuse(&|l| l.models[0].sha256 = Some("ab".into())).contains("64 hexadecimal"));
    assert!(refuse(&|l| l.act = Act::Edited).contains("parent"));
    assert!(refuse(&|l| l.models[1].base = Some("other".into())).contains("base"));
    assert!(refuse(&|l| l.artifact = "a b".into()).contains("ProduceID"));
}

#[test]
fn one_signer_serves_many_threads() {
    let instance = Instance::new();
    let verifier = instance.verifier();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (instance, verifier) = (&instance.signer, &verifier);
            scope.spawn(move || {
                for (media, bytes) in examples() {
                    let lineage = lineage(&format!("of-{thread}"));
                    let sealed = instance.seal(&request(media, &lineage), bytes).expect("sealed");
                    let report =
                        verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
                    assert_eq!(report.verdict, Verdict::Valid);
                    assert_eq!(report.lineage.expect("a lineage").artifact, format!("of-{thread}"));
                }
            });
        }
    });
}
