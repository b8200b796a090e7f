//! Verifying: who signed a file, what it was made from, and whether it was changed since.
//!
//! Foreign bytes are bounded before they are parsed; the C2PA library runs behind a net that turns its panics into findings.

mod explain;
mod graph;
mod integrity;
mod report;

use std::{
    fs::File,
    io::{BufReader, Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use c2pa::{Context, Reader, ValidationResults};
use jiff::Timestamp;
use memchr::memmem;

use self::integrity::Seal;
pub use self::report::{
    Change, ChangedPart, Edge, EdgeKind, Graph, Node, NodeKind, Report, SignerInfo, Verdict,
};
use crate::{
    AigcLabel, Authority, Error, Media, Result, Revocation, RevocationReason,
    authority::certificate_serial,
    container::{self, Bytes, Place},
    jumbf,
    seal::{claim, whole},
};

/// A file to read: bytes in memory, or a path.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// On disk.
    Path(&'a Path),
}

impl<'a> Source<'a> {
    pub(crate) fn open(&self) -> Result<Box<dyn Bytes + 'a>> {
        Ok(match self {
            Source::Bytes(bytes) => Box::new(Cursor::new(*bytes)),
            Source::Path(path) => Box::new(BufReader::with_capacity(
                1 << 16,
                File::open(path).map_err(Error::io("read", path))?,
            )),
        })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Source::Bytes(_) => None,
            Source::Path(path) => path.file_name().and_then(|n| n.to_str()),
        }
    }
}

/// Whom to believe.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Root certificates, PEM: one's own (past ones, too), others', time stamping authorities'.
    pub anchors_pem: String,
    /// Serials of the certificates that this instance signed with.
    pub own_serials: Vec<String>,
    /// Certificates that are void.
    pub revoked: Vec<Revocation>,
    /// The producer's code in this instance's labels: tells files that lost their credentials.
    pub producer: String,
}

impl Trust {
    /// What this instance's authority signed, and `more` roots.
    pub fn of(authority: &Authority, producer: &str, more: &str) -> Result<Self> {
        Ok(Self {
            anchors_pem: format!("{}{more}", authority.roots_pem()?),
            own_serials: authority.certificates()?.into_iter().map(|c| c.serial).collect(),
            revoked: authority.revocations()?,
            producer: producer.to_owned(),
        })
    }
}

/// How much is read of what strangers bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest file, in bytes.
    pub file: u64,
    /// The largest credentials, in bytes.
    pub credentials: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file: 64 << 30, credentials: 16 << 20 }
    }
}

/// Looks up a file that lost its credentials: SHA-256 of the file, and of its content; gives the artifact's id.
pub type Known<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Checks files.
pub struct Verifier {
    trust: Trust,
    limits: Limits,
    context: Arc<Context>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Believes these.
    ///
    /// # Errors
    /// When the anchors are no PEM certificates.
    pub fn new(trust: Trust, limits: Limits) -> Result<Self> {
        let mib = usize::try_from(limits.credentials >> 20).unwrap_or(1024).clamp(1, 1024);
        let context = claim::context(&trust.anchors_pem, mib).map_err(|e| {
            Error::credential(
                "the anchors",
                format!("they are no PEM certificates ({e})"),
                format!("不是 PEM 证书（{e}）"),
            )
        })?;
        Ok(Self { trust, limits, context: Arc::new(context) })
    }

    /// Checks a file, with the `.c2pa` file beside it where there is one.
    ///
    /// # Errors
    /// When the file can't be read or is over a limit. A file that makes no sense is a finding, not an error.
    pub fn verify(&self, source: Source<'_>, sidecar: Option<&[u8]>) -> Result<Report> {
        self.verify_known(source, sidecar, &|_, _| None)
    }

    /// Like [`Verifier::verify`]; a file without credentials is looked up by its hashes.
    pub fn verify_known(
        &self,
        source: Source<'_>,
        sidecar: Option<&[u8]>,
        known: Known<'_>,
    ) -> Result<Report> {
        let mut file = source.open()?;
        let size = container::len(&mut file)?;
        if size > self.limits.file {
            return Err(Error::TooLarge { what: "the file", size, limit: self.limits.file });
        }
        if let Some(sidecar) = sidecar {
            self.check_credentials_size(sidecar.len() as u64)?;
        }
        let media = kind_of(&source, &mut file)?;
        let sha256 =
            whole::hash_ranges(&mut file, std::slice::from_ref(&(0..size))).map_err(container::unreadable)?;
        let content_sha256 = container::content(media, &mut file)
            .ok()
            .and_then(|ranges| whole::hash_ranges(&mut file, &ranges).ok());
        let label = container::find_label(media, &mut file).ok().flatten();
        let name = source.name().unwrap_or("file").to_owned();
        let mut report = Report {
            verdict: Verdict::NotSigned,
            media,
            size,
            content_sha256,
            known_as: None,
            beside: false,
            changes: Vec::new(),
            signer: None,
            stamped_at: None,
            generator: None,
            actions: Vec::new(),
            digital_source_type: None,
            lineage: None,
            label: label.and_then(|text| AigcLabel::from_json(&text)),
            graph: Graph::default(),
            explanation: rixin_base::Message::default(),
            sha256: sha256.clone(),
        };
        report
            .graph
            .nodes
            .push(Node { sha256: Some(sha256), ..graph::plain("file".to_owned(), NodeKind::File, &name) });
        match (container::find_credentials(media, &mut file), sidecar) {
            (Ok(Some(place)), _) => self.check_embedded(&mut report, &mut file, &place)?,
            (_, Some(sidecar)) => self.check_beside(&mut report, &mut file, sidecar),
            (found, None) => {
                if holds_traces(&mut file)? {
                    let code = found.err().map(|e| e.to_string());
                    report.changes.push(explain::change(ChangedPart::Structure, code.as_deref(), None));
                    report.verdict = Verdict::Changed;
                } else {
                    self.check_stripped(&mut report, known);
                }
            }
        }
        report.explanation = explain::report(&report);
        Ok(report)
    }

    fn check_credentials_size(&self, size: u64) -> Result<()> {
        if size > self.limits.credentials {
            return Err(Error::TooLarge { what: "the credentials", size, limit: self.limits.credentials });
        }
        Ok(())
    }

    fn check_stripped(&self, report: &mut Report, known: Known<'_>) {
        let content = report.content_sha256.as_deref().unwrap_or(&report.sha256);
        report.known_as = known(&report.sha256, content);
        let ours = report
            .label
            .as_ref()
            .is_some_and(|l| !self.trust.producer.is_empty() && l.content_producer == self.trust.producer);
        if ours || report.known_as.is_some() {
            report.verdict = Verdict::MetadataStripped;
        }
    }

    fn check_embedded(&self, report: &mut Report, file: &mut dyn Bytes, place: &Place) -> Result<()> {
        self.check_credentials_size(place.len())?;
        let Ok(store) = place.read(file) else {
            report.changes.push(explain::change(ChangedPart::Structure, None, None));
            report.verdict = Verdict::Changed;
            return Ok(());
        };
        let cose = integrity::cose(&store);
        let seal = match &cose {
            Some(cose) => integrity::check(file, place, cose),
            None => Seal::Absent,
        };
        let mime = report.media.mime();
        let read = jumbf::is_well_formed(&store).then(|| {
            let _ = file.rewind();
            guarded(|| Reader::from_shared_context(&self.context).with_stream(mime, file))
        });
        self.judge(report, read.flatten(), cose.as_ref(), seal);
        Ok(())
    }

    fn check_beside(&self, report: &mut Report, file: &mut dyn Bytes, sidecar: &[u8]) {
        report.beside = true;
        let len = sidecar.len() as u64;
        let place = Place { pieces: std::iter::once(0..len).collect(), checksums: Vec::new() };
        let cose = integrity::cose(sidecar);
        let seal = match &cose {
            Some(cose) => integrity::check(&mut Cursor::new(sidecar), &place, cose),
            None => Seal::Absent,
        };
        let mime = report.media.mime();
        let read = jumbf::is_well_formed(sidecar).then(|| {
            let _ = file.rewind();
            guarded(|| {
                Reader::from_shared_context(&self.context).with_manifest_data_and_stream(sidecar, mime, file)
            })
        });
        self.judge(report, read.flatten(), cose.as_ref(), seal);
    }

    /// Puts together what the library found, the seal, and what is void.
    fn judge(&self, report: &mut Report, reader: Option<Reader>, cose: Option<&integrity::Cose>, seal: Seal) {
        report.verdict = Verdict::Changed;
        let Some(reader) = reader else {
            report.changes.push(explain::change(ChangedPart::Signature, None, None));
            return;
        };
        let Some(manifest) = reader.active_manifest() else {
            report.changes.push(explain::change(ChangedPart::Signature, None, None));
            return;
        };
        let empty = ValidationResults::default();
        let results = reader.validation_results().unwrap_or(&empty);
        let found = Findings::of(results);
        report.changes = found.changes;
        let assertion = graph::lineage_of(manifest);
        let sealed = assertion.as_ref().is_some_and(|a| a.seal.is_some());
        if seal == Seal::Broken || sealed && seal == Seal::Absent {
            // Where the content itself changed, that says it all.
            if report.changes.is_empty() {
                report.changes.push(explain::change(ChangedPart::Envelope, None, None));
            }
        }
        describe(report, manifest);
        let serial = cose.and_then(|c| c.leaf.as_deref()).and_then(certificate_serial);
        let revoked = serial.as_ref().and_then(|s| self.trust.revoked.iter().find(|r| &r.serial == s));
        report.signer = manifest.signature_info().map(|info| SignerInfo {
            name: info.common_name.clone().or(info.issuer.clone()).unwrap_or_default(),
            organisation: info.issuer.clone(),
            algorithm: info.alg.map(|a| a.to_string()),
            own: serial.as_ref().is_some_and(|s| self.trust.own_serials.contains(s)),
            trusted: found.trusted,
            revoked: revoked.cloned(),
            serial,
        });
        report.stamped_at = manifest.signature_info().and_then(|i| i.time.clone()).filter(|_| found.stamped);
        if let Some(assertion) = assertion {
            report.label = report.label.take().or(assertion.aigc);
            if let Some(node) = report.graph.nodes.first_mut()
                && node.name == "file"
            {
                node.name = assertion.lineage.title.clone().unwrap_or(assertion.lineage.artifact.clone());
            }
            report.lineage = Some(assertion.lineage);
        }
        if let Some(file) = report.graph.nodes.first().cloned() {
            report.graph = graph::build(&reader, file);
        }
        report.verdict = if !report.changes.is_empty() {
            Verdict::Changed
        } else if revoked.is_some_and(|r| !stands(r, report.stamped_at.as_deref())) {
            Verdict::Revoked
        } else if found.expired {
            Verdict::Expired
        } else if found.trusted {
            Verdict::Valid
        } else {
            Verdict::UnknownSigner
        };
    }
}

/// Whether a signature outlives the revocation of its certificate: it was stamped before, and the key was not copied.
fn stands(revocation: &Revocation, stamped_at: Option<&str>) -> bool {
    revocation.reason != RevocationReason::KeyCompromise
        && stamped_at.and_then(|t| t.parse::<Timestamp>().ok()).is_some_and(|stamped| stamped < revocation.at)
}

/// What the claim says of itself, for a person.
fn describe(report: &mut Report, manifest: &c2pa::Manifest) {
    report.generator = manifest
        .claim_generator_info
        .as_ref()
        .and_then(|list| list.first())
        .map(|info| match &info.version {
            Some(version) => format!("{} {version}", info.name),
            None => info.name.clone(),
        })
        .or_else(|| manifest.claim_generator().map(str::to_owned));
    let actions: Option<c2pa::assertions::Actions> = manifest.find_assertion("c2pa.actions").ok();
    for action in actions.iter().flat_map(|a| a.actions()) {
        report.actions.push(action.action().to_owned());
        if let Some(kind) = action.source_type() {
            report.digital_source_type = serde_json::to_value(kind)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .or(report.digital_source_type.take());
        }
    }
}

/// The library's findings, sorted.
#[derive(Default)]
struct Findings {
    changes: Vec<Change>,
    trusted: bool,
    expired: bool,
    stamped: bool,
}

impl Findings {
    fn of(results: &ValidationResults) -> Self {
        let mut out = Self::default();
        if let Some(active) = results.active_manifest() {
            out.trusted = active.success().iter().any(|s| s.code() == "signingCredential.trusted");
            out.stamped = active.success().iter().any(|s| s.code() == "timeStamp.trusted")
                && active.success().iter().any(|s| s.code() == "timeStamp.validated");
            for status in active.failure() {
                out.failed(status.code(), status.url(), false);
            }
            // A time stamp that fails is no failure to the library: the signature then counts as made now.
            for status in active.informational() {
                if matches!(status.code(), "timeStamp.mismatch" | "timeStamp.malformed") {
                    out.failed(status.code(), status.url(), false);
                }
            }
        }
        for delta in results.ingredient_deltas().into_iter().flatten() {
            for status in delta.validation_deltas().failure() {
                out.failed(status.code(), status.url(), true);
            }
        }
        out
    }

    fn failed(&mut self, code: &str, place: Option<&str>, of_input: bool) {
        let part = match code {
            "signingCredential.untrusted" => return,
            "signingCredential.expired" if !of_input => {
                self.expired = true;
                return;
            }
            // What was void or run out when an input was used is told at its node.
            _ if of_input && code.starts_with("signingCredential.") => return,
            _ if of_input => ChangedPart::Input,
            "assertion.dataHash.mismatch"
            | "assertion.bmffHash.mismatch"
            | "assertion.boxesHash.mismatch" => ChangedPart::Content,
            _ if code.starts_with("assertion.") => ChangedPart::Statement,
            _ if code.starts_with("timeStamp.") => ChangedPart::Envelope,
            _ if code.starts_with("ingredient.") || code.starts_with("manifest.inaccessible") => {
                ChangedPart::Input
            }
            _ => ChangedPart::Signature,
        };
        let change = explain::change(part, Some(code), place);
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }
}

/// The library's panics and errors are one finding: this can't be read.
fn guarded(read: impl FnOnce() -> c2pa::Result<Reader>) -> Option<Reader> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(reader)) => Some(reader),
        Ok(Err(error)) => {
            tracing::debug!(%error, "credentials that can't be read");
            None
        }
        Err(_) => {
            tracing::warn!("the credentials of a file made the C2PA library panic");
            None
        }
    }
}

/// By the first bytes; the name decides for text and for what has no mark.
fn kind_of(source: &Source<'_>, file: &mut dyn Bytes) -> Result<Media> {
    file.rewind().map_err(container::unreadable)?;
    let mut head = Vec::with_capacity(16);
    file.take(16).read_to_end(&mut head).map_err(container::unreadable)?;
    let named = match source {
        Source::Path(path) => Media::from_path(path),
        Source::Bytes(_) => Media::Other,
    };
    Ok(Media::sniff(&head).unwrap_or(named))
}

/// Whether the bytes hold what only credentials have, although the structure does not show them.
fn holds_traces(file: &mut dyn Bytes) -> Result<bool> {
    const TRACES: [&[u8]; 2] = [b"c2pa.signature", b"c2pa.assertions"];
    const SEARCHED: u64 = 64 << 20;
    file.rewind().map_err(container::unreadable)?;
    let mut reader = file.take(SEARCHED);
    let mut buffer = vec![0u8; 1 << 16];
    let mut kept = 0;
    loop {
        let read = reader.read(&mut buffer[kept..]).map_err(container::unreadable)?;
        if read == 0 {
            return Ok(false);
        }
        let seen = &buffer[..kept + read];
        if TRACES.iter().any(|t| memmem::find(seen, t).is_some()) {
            return Ok(true);
        }
        // A trace may lie across two reads.
        let keep = seen.len().min(32);
        let from = seen.len() - keep;
        buffer.copy_within(from..from + keep, 0);
        kept = keep;
    }
}
