//! A key in a security module: SoftHSM, where it is installed (Debian's softhsm2 and opensc).
#![cfg(feature = "pkcs11")]

mod common;

use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

use common::{examples, lineage, options, request, source, write};
use rixin_provenance::{Limits, ModuleKeys, ModuleOptions, Signer, Trust, Verdict, Verifier};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

fn run(dir: &Path, program: &str, arguments: &str) {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env("SOFTHSM2_CONF", dir.join("softhsm.conf"))
        .output()
        .expect(program);
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_key_in_a_module_signs() {
    if !Path::new(MODULE).exists() {
        eprintln!("skipped: softhsm2 is not installed");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    std::fs::create_dir(at.join("tokens")).expect("a folder");
    write(
        &at.join("softhsm.conf"),
        format!("directories.tokendir = {}\n", at.join("tokens").display()).as_bytes(),
    );
    // SAFETY: this test binary has one test, and no other thread runs yet that reads the environment.
    unsafe { std::env::set_var("SOFTHSM2_CONF", at.join("softhsm.conf")) };
    run(at, "softhsm2-util", "--init-token --free --label rixin --so-pin 0000 --pin 1234");
    write(&at.join("pin"), b"1234\n");
    run(at, "openssl", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out root.key");
    run(at, "openssl", "req -x509 -key root.key -subj /O=City/CN=CityRoot -days 60 -out root.pem");
    write(
        &at.join("leaf.ext"),
        b"keyUsage=critical,digitalSignature\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n",
    );
    for (name, kind) in
        [("ec", "EC -pkeyopt ec_paramgen_curve:P-256"), ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048")]
    {
        run(at, "openssl", &format!("genpkey -algorithm {kind} -out {name}.key"));
        run(at, "openssl", &format!("req -new -key {name}.key -subj /O=City/CN={name} -out {name}.csr"));
        run(
            at,
            "openssl",
            &format!(
                "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -set_serial 9 -days 30 -extfile leaf.ext -out {name}.pem"
            ),
        );
        let id = if name == "ec" { "01" } else { "02" };
        run(
            at,
            "softhsm2-util",
            &format!("--import {name}.key --token rixin --label {name} --id {id} --pin 1234"),
        );
        let module = ModuleOptions {
            module: MODULE.into(),
            token: "rixin".into(),
            key: name.into(),
            pin_file: at.join("pin"),
            chain: at.join(format!("{name}.pem")),
        };
        std::fs::set_permissions(&module.pin_file, PermissionsExt::from_mode(0o644)).expect("chmod");
        assert!(ModuleKeys::open(module.clone()).expect_err("refused").to_string().contains("644"));
        std::fs::set_permissions(&module.pin_file, PermissionsExt::from_mode(0o600)).expect("chmod");
        let missing = ModuleOptions { key: "none".into(), ..module.clone() };
        assert!(ModuleKeys::open(missing).expect_err("refused").to_string().contains("0 private keys"));
        let keys = ModuleKeys::open(module).expect("keys");
        let signer = Signer::with_keys(&at.join("state"), Box::new(keys), options()).expect("a signer");
        let anchors_pem = std::fs::read_to_string(at.join("root.pem")).expect("a root");
        let verifier =
            Verifier::new(Trust { anchors_pem, ..Trust::default() }, Limits::default()).expect("a verifier");
        let lineage = lineage("module");
        for (media, bytes) in examples() {
            let sealed = signer.seal(&request(media, &lineage), bytes).expect("sealed");
            let report = verifier.verify(source(&sealed.bytes), sealed.sidecar.as_deref()).expect("read");
            assert_eq!(report.verdict, Verdict::Valid, "{name}: {report:#?}");
        }
    }
}
