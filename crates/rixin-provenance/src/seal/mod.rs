//! Signing: label, claim, signature, seal.

pub(crate) mod claim;
mod stamp;
pub(crate) mod whole;

use std::{
    fs::File,
    io::{Cursor, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use c2pa::{Context, SigningAlg, assertions::DataHash};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::claim::LineageAssertion;
pub use self::stamp::Stamper;
use crate::{
    AigcLabel, AigcMark, Authority, AuthorityOptions, Error, LabelPolicy, Lineage, Media, Privacy, Result,
    SignerSource, Source,
    authority::pseudonym_key,
    container::{self, Bytes, Place},
    jumbf, label,
};

/// Whether others may use an artifact in one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MiningUse {
    /// They may.
    Allowed,
    /// They may not.
    #[default]
    NotAllowed,
}

/// What others may do with an artifact, in the words of CAWG's training and data mining assertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Mining {
    /// Give it to a model as input.
    pub inference: MiningUse,
    /// Train generative models on it.
    pub generative_training: MiningUse,
    /// Train other models on it.
    pub training: MiningUse,
    /// Mine it for patterns.
    pub data_mining: MiningUse,
}

/// Settings of an instance's signatures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignerOptions {
    /// The instance's own authority, when no other key is given.
    pub authority: AuthorityOptions,
    /// The producer's code or name for the label of GB 45438-2025 (`ContentProducer`).
    pub producer: String,
    /// What of a lineage leaves with the artifact.
    pub privacy: Privacy,
    /// What others may do, unless a request says otherwise.
    pub mining: Mining,
    /// Address of a time stamping authority (RFC 3161); none by default.
    pub time_stamp_url: Option<String>,
    /// Certificates of time stamping authorities and of others whose signatures on inputs are known, PEM.
    pub anchors_pem: String,
}

impl Default for SignerOptions {
    fn default() -> Self {
        Self {
            authority: AuthorityOptions::default(),
            producer: "rixin".to_owned(),
            privacy: Privacy::default(),
            mining: Mining::default(),
            time_stamp_url: None,
            anchors_pem: String::new(),
        }
    }
}

/// An input's bytes, so that its own credentials travel on with what was made from it.
#[derive(Clone, Debug)]
pub struct Parent<'a> {
    /// The id under which [`Lineage::parents`] names it.
    pub id: &'a str,
    /// Its kind.
    pub media: Media,
    /// Its bytes.
    pub source: Source<'a>,
    /// Its `.c2pa` file, where the kind has one.
    pub sidecar: Option<&'a [u8]>,
}

/// What to sign and how.
#[derive(Clone, Debug)]
pub struct SealRequest<'a> {
    /// The kind of the file.
    pub media: Media,
    /// How it came to be.
    pub lineage: &'a Lineage,
    /// Which labels it gets.
    pub label: LabelPolicy,
    /// The bytes of those inputs that have credentials of their own.
    pub parents: &'a [Parent<'a>],
    /// What others may do; the instance's setting when absent.
    pub mining: Option<Mining>,
}

/// A signed file in memory.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The file, labelled and signed; as it was where the credentials lie beside it.
    pub bytes: Vec<u8>,
    /// The credentials beside it (`.c2pa`), for kinds that can't carry them.
    pub sidecar: Option<Vec<u8>>,
    /// SHA-256 of `bytes`.
    pub sha256: String,
    /// SHA-256 of the content without any metadata: finds the artifact when that was stripped.
    pub content_sha256: String,
    /// The implicit label.
    pub label: Option<AigcLabel>,
}

/// A signed file on disk.
#[derive(Clone, Debug)]
pub struct SealedFile {
    /// The credentials beside it (`.c2pa`), for kinds that can't carry them.
    pub sidecar: Option<Vec<u8>>,
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 of the content without any metadata.
    pub content_sha256: String,
    /// Length of the file in bytes.
    pub size: u64,
    /// The implicit label.
    pub label: Option<AigcLabel>,
}

/// Labels and signs what the suite makes.
pub struct Signer {
    keys: Box<dyn SignerSource>,
    signature_len: usize,
    stamper: Option<Box<dyn Stamper>>,
    options: SignerOptions,
    pseudonym_key: Vec<u8>,
    context: Arc<Context>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs with the instance's own authority in `dir`, which is made at first use. A later rotation takes effect when the signer
    /// is opened again.
    pub fn open(dir: &Path, options: SignerOptions) -> Result<Self> {
        let authority = Authority::open(dir, options.authority.clone())?;
        let mut anchors = authority.roots_pem()?;
        anchors.push_str(&options.anchors_pem);
        Self::build(dir, Box::new(authority.keys()?), options, &anchors)
    }

    /// Signs with other keys: an organisation's files, or a security module. `dir` keeps the key of the pseudonyms.
    pub fn with_keys(dir: &Path, keys: Box<dyn SignerSource>, options: SignerOptions) -> Result<Self> {
        let anchors = options.anchors_pem.clone();
        Self::build(dir, keys, options, &anchors)
    }

    fn build(dir: &Path, keys: Box<dyn SignerSource>, options: SignerOptions, anchors: &str) -> Result<Self> {
        AigcLabel::check_value("ContentProducer", &options.producer)?;
        let stamper = match &options.time_stamp_url {
            Some(url) => Some(Box::new(stamp::HttpStamper::new(url)?) as Box<dyn Stamper>),
            None => None,
        };
        Ok(Self {
            signature_len: keys.sign(b"how long is a signature")?.len(),
            keys,
            stamper,
            pseudonym_key: pseudonym_key(dir)?,
            context: Arc::new(claim::context(anchors, 32)?),
            options,
        })
    }

    /// Takes time stamps from here, instead of the address in the settings.
    pub fn with_stamper(mut self, stamper: Box<dyn Stamper>) -> Self {
        self.stamper = Some(stamper);
        self
    }

    /// Labels and signs a file in memory.
    pub fn seal(&self, request: &SealRequest<'_>, bytes: Vec<u8>) -> Result<Sealed> {
        request.lineage.check()?;
        let media = request.media;
        let bytes = label::apply_explicit(media, &request.label, bytes)?;
        let label = self.label_for(request)?;
        let bytes = match &label {
            Some(label) if media.embeds() => label::write_label(media, &bytes, label)?,
            _ => bytes,
        };
        let assertion = self.assertion(request, label.clone());
        let mut source = Cursor::new(bytes);
        let (bytes, sidecar) = if media.embeds() {
            let mut signed = Cursor::new(Vec::with_capacity(source.get_ref().len() + (64 << 10)));
            self.embed(request, &assertion, &mut source, &mut signed)?;
            (signed.into_inner(), None)
        } else {
            let sidecar = self.beside(request, &assertion, &mut source)?;
            (source.into_inner(), Some(sidecar))
        };
        let mut file = Cursor::new(bytes.as_slice());
        let (sha256, content_sha256) = hashes(media, &mut file)?;
        Ok(Sealed { sha256, content_sha256, sidecar, label, bytes })
    }

    /// Labels and signs a file on disk, however large, into another one. The explicit label of a video is drawn before, by
    /// [`crate::draw_video_label`]; that of other kinds here.
    pub fn seal_file(&self, request: &SealRequest<'_>, from: &Path, to: &Path) -> Result<SealedFile> {
        let media = request.media;
        if request.label.explicit.is_some() && label::draws(media) {
            let bytes = std::fs::read(from).map_err(Error::io("read", from))?;
            let sealed = self.seal(request, bytes)?;
            write_whole(to, |file| file.write_all(&sealed.bytes))?;
            return Ok(SealedFile {
                size: sealed.bytes.len() as u64,
                sidecar: sealed.sidecar,
                sha256: sealed.sha256,
                content_sha256: sealed.content_sha256,
                label: sealed.label,
            });
        }
        request.lineage.check()?;
        let label = self.label_for(request)?;
        let assertion = self.assertion(request, label.clone());
        let mut source = File::open(from).map_err(Error::io("read", from))?;
        let folder = folder_of(to);
        let temporary = || tempfile::NamedTempFile::new_in(&folder).map_err(Error::io("create", &folder));
        let (sidecar, mut result) = if media.embeds() {
            let mut labelled = temporary()?;
            match &label {
                Some(label) => {
                    let plan = container::plan_label(media, &mut source, &label.value(media))?;
                    let mut out = std::io::BufWriter::with_capacity(1 << 20, labelled.as_file_mut());
                    plan.write(&mut source, &mut out)
                        .and_then(|()| out.flush())
                        .map_err(Error::io("write", to))?;
                }
                None => {
                    std::io::copy(&mut source, labelled.as_file_mut()).map_err(Error::io("write", to))?;
                }
            }
            let mut signed = temporary()?;
            self.embed(request, &assertion, labelled.as_file_mut(), signed.as_file_mut())?;
            (None, signed)
        } else {
            let sidecar = self.beside(request, &assertion, &mut source)?;
            let mut copy = temporary()?;
            source.rewind().map_err(Error::io("read", from))?;
            std::io::copy(&mut source, copy.as_file_mut()).map_err(Error::io("write", to))?;
            (Some(sidecar), copy)
        };
        let (sha256, content_sha256) = hashes(media, result.as_file_mut())?;
        let size = result.as_file_mut().seek(SeekFrom::End(0)).map_err(Error::io("read", to))?;
        result.as_file().sync_all().map_err(Error::io("write", to))?;
        let file = result.persist(to).map_err(|e| Error::io("write", to)(e.error))?;
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(PermissionsExt::from_mode(0o644)).map_err(Error::io("write", to))?;
        Ok(SealedFile { sidecar, sha256, content_sha256, size, label })
    }

    fn label_for(&self, request: &SealRequest<'_>) -> Result<Option<AigcLabel>> {
        if !request.label.implicit {
            return Ok(None);
        }
        AigcLabel::first(AigcMark::Generated, &self.options.producer, &request.lineage.artifact).map(Some)
    }

    fn assertion(&self, request: &SealRequest<'_>, aigc: Option<AigcLabel>) -> LineageAssertion {
        let lineage = request.lineage.for_outside(self.options.privacy, &self.pseudonym_key);
        LineageAssertion { lineage, aigc, seal: Some(1) }
    }

    /// Credentials inside the file.
    fn embed<R, W>(
        &self,
        request: &SealRequest<'_>,
        assertion: &LineageAssertion,
        from: &mut R,
        to: &mut W,
    ) -> Result<()>
    where
        R: Bytes,
        W: Bytes + Write,
    {
        let media = request.media;
        let mining = request.mining.unwrap_or(self.options.mining);
        let mut builder = claim::builder(&self.context, media, assertion, mining, request.parents)?;
        from.rewind().map_err(container::unreadable)?;
        builder.sign(&self.adapter(), media.mime(), from, to)?;
        let place = container::find_credentials(media, to)?
            .ok_or_else(|| Error::sign("the credentials did not reach the file"))?;
        self.seal_whole(to, &place)
    }

    /// Credentials beside the file.
    fn beside(
        &self,
        request: &SealRequest<'_>,
        assertion: &LineageAssertion,
        from: &mut dyn Bytes,
    ) -> Result<Vec<u8>> {
        let mining = request.mining.unwrap_or(self.options.mining);
        let mut builder = claim::builder(&self.context, request.media, assertion, mining, request.parents)?;
        builder.set_no_embed(true);
        let adapter = self.adapter();
        // The name is the one that the library looks for.
        let mut hash = DataHash::new("jumbf manifest", "sha256");
        from.rewind().map_err(container::unreadable)?;
        let digest = whole::hash_stream(from).map_err(container::unreadable)?;
        hash.set_hash(digest);
        builder.add_assertion(DataHash::LABEL, &hash)?;
        let manifest = builder.sign_data_hashed_embeddable(&adapter, &hash, "application/c2pa")?;
        let mut carrier = Cursor::new(manifest);
        let len = carrier.get_ref().len() as u64;
        let place = Place { pieces: std::iter::once(0..len).collect(), checksums: Vec::new() };
        self.seal_whole(&mut carrier, &place)?;
        Ok(carrier.into_inner())
    }

    fn adapter(&self) -> Adapter<'_> {
        let certificates: usize = self.keys.chain().iter().map(Vec::len).sum();
        let stamp = if self.stamper.is_some() { 10_000 } else { 0 };
        Adapter {
            keys: self.keys.as_ref(),
            stamper: self.stamper.as_deref(),
            reserve: certificates + stamp + 1024 + 2 * self.signature_len,
        }
    }

    /// The signature over every byte of the carrier.
    fn seal_whole<W: Bytes + Write>(&self, carrier: &mut W, place: &Place) -> Result<()> {
        let odd = || Error::sign("the signature has no room for the seal");
        let io = container::unreadable;
        let mut store = place.read(carrier).map_err(io)?;
        let cose = jumbf::active_signature(&store).ok_or_else(odd)?;
        let room = whole::make_room(&mut store[cose.clone()], self.signature_len).ok_or_else(odd)?;
        whole::overwrite(carrier, place, cose.start as u64..cose.end as u64, &store[cose.clone()])
            .map_err(io)?;
        let seal = (cose.start + room.start) as u64..(cose.start + room.end) as u64;
        let message = whole::message(carrier, &whole::zeroed(place, seal.clone())).map_err(io)?;
        let signature = self.keys.sign(&message)?;
        if signature.len() != self.signature_len {
            return Err(Error::sign("the key gives signatures of changing length"));
        }
        whole::overwrite(carrier, place, seal, &signature).map_err(io)?;
        for (at, sum) in whole::checksums(carrier, place).map_err(io)? {
            carrier.seek(SeekFrom::Start(at.start)).and_then(|_| carrier.write_all(&sum)).map_err(io)?;
        }
        Ok(())
    }
}

/// The library's own trait over a [`SignerSource`] and a [`Stamper`].
struct Adapter<'a> {
    keys: &'a dyn SignerSource,
    stamper: Option<&'a dyn Stamper>,
    reserve: usize,
}

impl c2pa::Signer for Adapter<'_> {
    fn sign(&self, data: &[u8]) -> c2pa::Result<Vec<u8>> {
        self.keys.sign(data).map_err(|e| c2pa::Error::OtherError(Box::new(e)))
    }

    fn alg(&self) -> SigningAlg {
        self.keys.algorithm()
    }

    fn certs(&self) -> c2pa::Result<Vec<Vec<u8>>> {
        Ok(self.keys.chain().to_vec())
    }

    fn reserve_size(&self) -> usize {
        self.reserve
    }

    fn send_timestamp_request(&self, message: &[u8]) -> Option<c2pa::Result<Vec<u8>>> {
        let stamper = self.stamper?;
        let answer = self
            .timestamp_request_body(message)
            .and_then(|query| stamper.stamp(&query).map_err(|e| c2pa::Error::OtherError(Box::new(e))));
        Some(answer)
    }
}

fn hashes(media: Media, file: &mut dyn Bytes) -> Result<(String, String)> {
    let len = container::len(file)?;
    let whole = std::iter::once(0..len).collect::<Vec<_>>();
    let sha256 = whole::hash_ranges(file, &whole).map_err(container::unreadable)?;
    let content = container::content(media, file)?;
    if content == whole {
        return Ok((sha256.clone(), sha256));
    }
    let content = whole::hash_ranges(file, &content).map_err(container::unreadable)?;
    Ok((sha256, content))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn write_whole(to: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<()> {
    let folder = folder_of(to);
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(Error::io("create", &folder))?;
    write(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(Error::io("write", to))?;
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(PermissionsExt::from_mode(0o644)).map_err(Error::io("write", to))?;
    file.persist(to).map_err(|e| Error::io("write", to)(e.error))?;
    Ok(())
}
