//! Keys and certificates: modes, rotation, revocation, others' chains, time stamps.

mod common;

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use common::{Instance, PRODUCER, examples, lineage, options, request, source, write};
use rixin_base::{Code, Explain};
use rixin_provenance::{
    Authority, AuthorityOptions, Error, FileKeys, Limits, Media, RevocationReason, Signer, SignerOptions,
    Trust, Verdict, Verifier,
};

fn verdict(instance: &Instance, bytes: &[u8]) -> Verdict {
    instance.verifier().verify(source(bytes), None).expect("read").verdict
}

fn png() -> Vec<u8> {
    examples().remove(0).1
}

#[test]
fn private_keys_are_the_owners_alone() {
    let instance = Instance::new();
    let mut keys = 0;
    for dir in [instance.dir.path().to_owned(), instance.dir.path().join("leaves")] {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "key") {
                keys += 1;
                let mode = std::fs::metadata(&path).expect("there").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
    }
    assert_eq!(keys, 3, "root, leaf, pseudonyms");
    let root = instance.dir.path().join("root.key");
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o640)).expect("chmod");
    let error = Signer::open(instance.dir.path(), options()).expect_err("refused");
    assert!(matches!(error, Error::OpenKey { mode: 0o640, .. }), "{error}");
    assert_eq!(error.code(), Code::BadSetting);
    assert!(error.message().zh.contains("chmod 600"));
}

#[test]
fn a_second_opening_finds_the_same_authority() {
    let instance = Instance::new();
    let again = Signer::open(instance.dir.path(), options()).expect("opened");
    let lineage = lineage("again");
    let sealed = again.seal(&request(Media::Png, &lineage), png()).expect("sealed");
    assert_eq!(verdict(&instance, &sealed.bytes), Verdict::Valid);
    assert_eq!(instance.authority().certificates().expect("list").len(), 1);
}

#[test]
fn old_signatures_outlive_rotation() {
    for intermediate in [false, true] {
        let authority = AuthorityOptions { intermediate, ..options().authority };
        let instance = Instance::with(SignerOptions { authority: authority.clone(), ..options() });
        let opened = || Authority::open(instance.dir.path(), authority.clone()).expect("opened");
        let resign = || {
            let signer = Signer::open(
                instance.dir.path(),
                SignerOptions { authority: authority.clone(), ..options() },
            )
            .expect("opened");
            let lineage = lineage("rotated");
            signer.seal(&request(Media::Png, &lineage), png()).expect("sealed").bytes
        };
        let first = resign();
        let old = opened().certificates().expect("list").remove(0).serial;
        let new = opened().rotate().expect("rotated");
        assert_ne!(old, new);
        assert!(!instance.dir.path().join(format!("leaves/{old}.key")).exists(), "the old key is gone");
        let second = resign();
        opened().rotate_root().expect("a new root");
        let third = resign();
        let list = opened().certificates().expect("list");
        assert_eq!(list.iter().map(|c| c.current).collect::<Vec<_>>(), [true, false, false]);
        for bytes in [first, second, third] {
            let report = instance.verifier().verify(source(&bytes), None).expect("read");
            assert_eq!(report.verdict, Verdict::Valid, "{report:#?}");
            assert!(report.signer.expect("a signer").own);
        }
    }
}

#[test]
fn a_revoked_certificate_proves_nothing() {
    let instance = Instance::new();
    let sealed = instance.seal(Media::Png, png());
    let authority = instance.authority();
    let serial = authority.certificates().expect("list").remove(0).serial;
    authority.revoke(&serial, RevocationReason::KeyCompromise, jiff::Timestamp::now()).expect("revoked");
    let report = instance.verifier().verify(source(&sealed.bytes), None).expect("read");
    assert_eq!(report.verdict, Verdict::Revoked);
    assert_eq!(report.signer.expect("a signer").revoked.expect("revoked").serial, serial);
    assert!(authority.revoke("00", RevocationReason::Superseded, jiff::Timestamp::now()).is_err());
    authority.rotate().expect("rotated");
    let signer = Signer::open(instance.dir.path(), options()).expect("opened");
    let lineage = lineage("after");
    let after = signer.seal(&request(Media::Png, &lineage), png()).expect("sealed");
    assert_eq!(verdict(&instance, &after.bytes), Verdict::Valid);
}

/// Runs openssl in a folder; `false` where it is not installed.
fn openssl(dir: &Path, arguments: &str) -> bool {
    let run = Command::new("openssl").args(arguments.split_whitespace()).current_dir(dir).output();
    match run {
        Ok(output) => {
            assert!(
                output.status.success(),
                "openssl {arguments}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            true
        }
        Err(_) => {
            eprintln!("skipped: openssl is not installed");
            false
        }
    }
}

/// A root, and a leaf of it with these extensions, named `NAME.pem` and `NAME.key`.
fn issue(dir: &Path, name: &str, key: &str, extensions: &str) -> bool {
    write(&dir.join("leaf.ext"), extensions.as_bytes());
    openssl(dir, &format!("genpkey {key} -out {name}.key"))
        && openssl(dir, &format!("req -new -key {name}.key -subj /O=City/CN={name} -out {name}.csr"))
        && openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -set_serial 7 -days 30 -extfile leaf.ext -out {name}.pem"
            ),
        )
}

fn root(dir: &Path) -> bool {
    openssl(dir, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key")
        && openssl(dir, "req -x509 -key root.key -subj /O=City/CN=CityRoot -days 60 -out root.pem")
}

const SIGNER: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n";

#[test]
fn an_organisation_brings_its_own_chain() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    if !root(at) {
        return;
    }
    let roots = std::fs::read_to_string(at.join("root.pem")).expect("a root");
    for key in [
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        "-algorithm ED25519",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    ] {
        assert!(issue(at, "signer", key, SIGNER));
        std::fs::set_permissions(at.join("signer.key"), PermissionsExt::from_mode(0o600)).expect("chmod");
        let keys = FileKeys::open(&at.join("signer.pem"), &at.join("signer.key")).expect("keys");
        let signer = Signer::with_keys(&at.join("state"), Box::new(keys), options()).expect("a signer");
        let trust = Trust { anchors_pem: roots.clone(), producer: PRODUCER.into(), ..Trust::default() };
        let verifier = Verifier::new(trust, Limits::default()).expect("a verifier");
        let lineage = lineage("own-chain");
        for (media, bytes) in [(Media::Png, png()), (Media::Ply, b"ply\n".to_vec())] {
            let sealed = signer.seal(&request(media, &lineage), bytes).expect("sealed");
            let report = verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
            assert_eq!(report.verdict, Verdict::Valid, "{key}: {report:#?}");
            assert_eq!(report.signer.expect("a signer").organisation.as_deref(), Some("City"));
            let (mut bytes, mut sidecar) = (sealed.bytes, sealed.sidecar);
            // The last byte of the padding before the seal, whatever the algorithm.
            let carrier = sidecar.as_mut().unwrap_or(&mut bytes);
            let seal = carrier.windows(13).position(|w| w == b"ai.rixin.seal").expect("a seal");
            carrier[seal - 3] ^= 1;
            let report = verifier.verify(source(&bytes), sidecar.as_deref()).expect("read");
            assert_eq!(report.verdict, Verdict::Changed, "{key}");
        }
    }
    // A key that is not the certificate's.
    assert!(openssl(at, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out other.key"));
    std::fs::set_permissions(at.join("other.key"), PermissionsExt::from_mode(0o600)).expect("chmod");
    let error = FileKeys::open(&at.join("signer.pem"), &at.join("other.key")).expect_err("refused");
    assert!(error.to_string().contains("not that of the first certificate"), "{error}");
}

/// A time stamping authority: `openssl ts` behind the few lines of HTTP that it needs; answers `times` queries.
fn time_stamping_authority(dir: &Path, times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let dir = dir.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(times) {
            let mut stream = stream.expect("a client");
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let read = stream.read(&mut buffer).expect("a request");
                request.extend_from_slice(&buffer[..read]);
                if let Some(head) = request.windows(4).position(|w| w == b"\r\n\r\n") {
                    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
                    let length: usize = text
                        .lines()
                        .find_map(|l| l.strip_prefix("content-length:"))
                        .and_then(|l| l.trim().parse().ok())
                        .expect("a length");
                    if request.len() >= head + 4 + length {
                        break request[head + 4..].to_vec();
                    }
                }
            };
            write(&dir.join("query.tsq"), &body);
            openssl(&dir, "ts -reply -config ts.cnf -queryfile query.tsq -out reply.tsr");
            let reply = std::fs::read(dir.join("reply.tsr")).expect("a reply");
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                reply.len()
            );
            stream.write_all(head.as_bytes()).expect("sent");
            stream.write_all(&reply).expect("sent");
        }
    });
    url
}

#[test]
fn time_stamps_by_rfc_3161() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    if !root(at) {
        return;
    }
    let stamping = "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nbasicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    assert!(issue(at, "stamper", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", stamping));
    write(
        &at.join("ts.cnf"),
        b"[tsa]\ndefault_tsa=one\n[one]\nserial=./serial\nsigner_cert=./stamper.pem\ncerts=./root.pem\nsigner_key=./stamper.key\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256,sha384,sha512\naccuracy=secs:1\nordering=yes\ntsa_name=no\ness_cert_id_chain=no\n",
    );
    write(&at.join("serial"), b"01\n");
    let url = time_stamping_authority(at, 2);
    let roots = std::fs::read_to_string(at.join("root.pem")).expect("a root");
    let options = SignerOptions { time_stamp_url: Some(url), anchors_pem: roots.clone(), ..options() };
    let instance = Instance::with(options.clone());
    let sealed = instance.seal(Media::Png, png());
    let trust = Trust::of(&instance.authority(), PRODUCER, &roots).expect("trust");
    let verify = |trust: &Trust, bytes: &[u8]| {
        let verifier = Verifier::new(trust.clone(), Limits::default()).expect("a verifier");
        verifier.verify(source(bytes), None).expect("read")
    };
    let report = verify(&trust, &sealed.bytes);
    assert_eq!(report.verdict, Verdict::Valid, "{report:#?}");
    let stamped: jiff::Timestamp = report.stamped_at.expect("stamped").parse().expect("a time");
    assert!(jiff::Timestamp::now().duration_since(stamped).as_secs().abs() < 60);
    // An authority that nobody knows says nothing.
    assert_eq!(instance.verifier().verify(source(&sealed.bytes), None).expect("read").stamped_at, None);
    // What was stamped before the certificate was superseded stands; after a key was copied nothing does.
    let serial = instance.authority().certificates().expect("list").remove(0).serial;
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(60);
    for (reason, verdict) in
        [(RevocationReason::Superseded, Verdict::Valid), (RevocationReason::KeyCompromise, Verdict::Revoked)]
    {
        instance.authority().revoke(&serial, reason, later).expect("revoked");
        let trust = Trust::of(&instance.authority(), PRODUCER, &roots).expect("trust");
        assert_eq!(verify(&trust, &sealed.bytes).verdict, verdict);
    }
    // Every byte of the stamp is under the seal.
    let start = sealed.bytes.windows(7).position(|w| w == b"sigTst2").expect("a stamp");
    for at in (start..start + 3000).step_by(37) {
        let mut bytes = sealed.bytes.clone();
        bytes[at] ^= 4;
        assert_ne!(verify(&trust, &bytes).verdict, Verdict::Valid, "byte {at}");
    }
    let gone = SignerOptions { time_stamp_url: Some("http://127.0.0.1:1/".into()), ..options };
    let lineage = lineage("late");
    let error =
        Instance::with(gone).signer.seal(&request(Media::Png, &lineage), png()).expect_err("no answer");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
