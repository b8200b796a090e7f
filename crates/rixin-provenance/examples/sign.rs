//! Labels and signs a file, or says what its credentials say.
//!
//!     cargo run --release -p rixin-provenance --example sign -- sign AUTHORITY_DIR FROM TO [--explicit] [--tsa URL] [--anchors PEM]
//!     cargo run --release -p rixin-provenance --example sign -- verify AUTHORITY_DIR FILE
//!     cargo run --release -p rixin-provenance --example sign -- roots AUTHORITY_DIR
//!
//! Credentials beside a file lie in FILE.c2pa.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use rixin_provenance::{
    Act, Authority, EngineUse, ExplicitLabel, LINEAGE_VERSION, LabelPolicy, Limits, Lineage, Media,
    SealRequest, Signer, SignerOptions, Source, SourceType, Trust, Verdict, Verifier, draw_video_label,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["sign", dir, from, to, flags @ ..] => sign(Path::new(dir), Path::new(from), Path::new(to), flags),
        ["verify", dir, file] => verify(Path::new(dir), Path::new(file)),
        ["roots", dir] => roots(Path::new(dir)),
        _ => Err("usage: sign sign DIR FROM TO [--explicit] [--tsa URL] [--anchors PEM] | sign verify DIR FILE | sign roots DIR".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn beside(file: &Path) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".c2pa");
    name.into()
}

fn value<'a>(flags: &[&'a str], name: &str) -> Option<&'a str> {
    flags.iter().position(|f| *f == name).and_then(|at| flags.get(at + 1).copied())
}

fn sign(dir: &Path, from: &Path, to: &Path, flags: &[&str]) -> Result<bool, Failure> {
    let anchors = value(flags, "--anchors").map(std::fs::read_to_string).transpose()?.unwrap_or_default();
    let options = SignerOptions {
        time_stamp_url: value(flags, "--tsa").map(str::to_owned),
        anchors_pem: anchors,
        ..SignerOptions::default()
    };
    let signer = Signer::open(dir, options)?;
    let lineage = Lineage {
        version: LINEAGE_VERSION,
        artifact: from.file_stem().and_then(|n| n.to_str()).unwrap_or("file").to_owned(),
        title: None,
        act: Act::Created,
        source_type: SourceType::Generated,
        engine: EngineUse { name: "example".into(), version: env!("CARGO_PKG_VERSION").into() },
        created_at: jiff::Timestamp::now(),
        models: vec![],
        parents: vec![],
        datasets: vec![],
        parameters: BTreeMap::new(),
        seed: None,
        tenant: None,
        prompt: None,
    };
    let media = Media::from_path(from);
    let explicit = flags.contains(&"--explicit").then(ExplicitLabel::default);
    let mut request = SealRequest {
        media,
        lineage: &lineage,
        label: LabelPolicy { explicit, ..LabelPolicy::default() },
        parents: &[],
        mining: None,
    };
    let sealed = match (media, explicit) {
        (Media::Mp4, Some(label)) => {
            let drawn = tempfile::NamedTempFile::new()?;
            draw_video_label(Path::new("ffmpeg"), from, drawn.path(), &label, &rixin_base::Cancel::new())?;
            request.label.explicit = None;
            signer.seal_file(&request, drawn.path(), to)?
        }
        _ => signer.seal_file(&request, from, to)?,
    };
    if let Some(sidecar) = &sealed.sidecar {
        std::fs::write(beside(to), sidecar)?;
    }
    println!("{}", sealed.sha256);
    Ok(true)
}

fn verify(dir: &Path, file: &Path) -> Result<bool, Failure> {
    let options = SignerOptions::default();
    let authority = Authority::open(dir, options.authority)?;
    let verifier = Verifier::new(Trust::of(&authority, &options.producer, "")?, Limits::default())?;
    let sidecar = std::fs::read(beside(file)).ok();
    let report = verifier.verify(Source::Path(file), sidecar.as_deref())?;
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(report.verdict == Verdict::Valid)
}

fn roots(dir: &Path) -> Result<bool, Failure> {
    print!("{}", Authority::open(dir, SignerOptions::default().authority)?.roots_pem()?);
    Ok(true)
}
