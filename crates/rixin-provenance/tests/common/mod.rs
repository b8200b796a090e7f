//! Media made by code, and an instance that signs them.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{collections::BTreeMap, io::Cursor, path::Path};

use image::{DynamicImage, ImageFormat, RgbImage};
use rixin_provenance::{
    Act, Authority, AuthorityOptions, DatasetUse, EngineUse, FileUse, LINEAGE_VERSION, LabelPolicy,
    LicenceUse, Limits, Lineage, Media, ModelRole, ModelUse, Origin, SealRequest, Sealed, Signer,
    SignerOptions, Source, SourceType, Trust, Verifier,
};

pub const PRODUCER: &str = "rixin-test";

/// A folder with an authority, its signer, and a verifier that trusts it.
pub struct Instance {
    pub dir: tempfile::TempDir,
    pub signer: Signer,
}

pub fn options() -> SignerOptions {
    SignerOptions {
        producer: PRODUCER.into(),
        authority: AuthorityOptions { organisation: "Test Hospital".into(), ..AuthorityOptions::default() },
        ..SignerOptions::default()
    }
}

impl Instance {
    pub fn new() -> Self {
        Self::with(options())
    }

    pub fn with(options: SignerOptions) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let signer = Signer::open(dir.path(), options).expect("an authority");
        Self { dir, signer }
    }

    pub fn authority(&self) -> Authority {
        Authority::open(self.dir.path(), options().authority).expect("the authority")
    }

    pub fn verifier(&self) -> Verifier {
        let trust = Trust::of(&self.authority(), PRODUCER, "").expect("trust");
        Verifier::new(trust, Limits::default()).expect("a verifier")
    }

    pub fn seal(&self, media: Media, bytes: Vec<u8>) -> Sealed {
        let lineage = lineage("artifact-1");
        self.signer.seal(&request(media, &lineage), bytes).expect("sealed")
    }
}

pub fn request(media: Media, lineage: &Lineage) -> SealRequest<'_> {
    SealRequest { media, lineage, label: LabelPolicy::default(), parents: &[], mining: None }
}

pub fn source(bytes: &[u8]) -> Source<'_> {
    Source::Bytes(bytes)
}

pub fn hash(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

/// A picture by an adapter that was trained here on two files, on top of an imported model.
pub fn lineage(artifact: &str) -> Lineage {
    let licence = |spdx: &str| Some(LicenceUse { spdx: Some(spdx.into()), name: spdx.into(), url: None });
    Lineage {
        version: LINEAGE_VERSION,
        artifact: artifact.into(),
        title: None,
        act: Act::Created,
        source_type: SourceType::Generated,
        engine: EngineUse { name: "image".into(), version: "0.1.0".into() },
        created_at: "2026-01-02T03:04:05Z".parse().expect("a time"),
        models: vec![
            ModelUse {
                id: "base-model".into(),
                sha256: Some(hash(0x11)),
                role: ModelRole::Base,
                origin: Origin::Imported,
                source: Some("hf:org/base".into()),
                licence: licence("Apache-2.0"),
                base: None,
                datasets: vec![],
                strength: None,
            },
            ModelUse {
                id: "our-style".into(),
                sha256: Some(hash(0x22)),
                role: ModelRole::Adapter,
                origin: Origin::Trained,
                source: None,
                licence: licence("CC-BY-4.0"),
                base: Some("base-model".into()),
                datasets: vec![DatasetUse {
                    id: "photos".into(),
                    sha256: Some(hash(0x33)),
                    files: vec![
                        FileUse { name: "one.jpg".into(), sha256: hash(0x44) },
                        FileUse { name: "two.jpg".into(), sha256: hash(0x55) },
                    ],
                    licence: None,
                }],
                strength: Some(0.8),
            },
        ],
        parents: vec![],
        datasets: vec![],
        parameters: BTreeMap::from([("steps".to_owned(), serde_json::json!(20))]),
        seed: Some(42),
        tenant: Some("ward-7".into()),
        prompt: Some("一只猫".into()),
    }
}

pub fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8]))
}

pub fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture(48, 32)).write_to(&mut out, format).expect("encoded");
    out.into_inner()
}

/// Half a second of a tone, 16 bits, mono.
pub fn wav() -> Vec<u8> {
    let samples: Vec<u8> =
        (0..4000).flat_map(|n| (((n as f32 * 0.2).sin() * 9000.0) as i16).to_le_bytes()).collect();
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&(36 + samples.len() as u32).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16u32.to_le_bytes());
    out.extend_from_slice(&[1, 0, 1, 0]);
    out.extend_from_slice(&8000u32.to_le_bytes());
    out.extend_from_slice(&16000u32.to_le_bytes());
    out.extend_from_slice(&[2, 0, 16, 0]);
    out.extend_from_slice(b"data");
    out.extend_from_slice(&(samples.len() as u32).to_le_bytes());
    out.extend_from_slice(&samples);
    out
}

/// Ten silent frames of MPEG-1 layer III, 128 kbit/s, 44.1 kHz.
pub fn mp3() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    frame.repeat(10)
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32 + 8).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out
}

/// The skeleton of a video: index before or after two chunks of data that it points at.
pub fn mp4(index_first: bool) -> Vec<u8> {
    let ftyp = boxed(b"ftyp", b"isom\0\0\x02\0isommp42");
    let data = boxed(b"mdat", &[b"chunk-one".as_slice(), b"chunk-two"].concat());
    let moov = |first: u32| {
        let mut stco = vec![0, 0, 0, 0, 0, 0, 0, 2];
        stco.extend_from_slice(&first.to_be_bytes());
        stco.extend_from_slice(&(first + 9).to_be_bytes());
        let stbl = boxed(b"stbl", &boxed(b"stco", &stco));
        let mdia = boxed(b"mdia", &boxed(b"minf", &stbl));
        let mut mvhd = vec![0u8; 100];
        mvhd[14] = 3;
        mvhd[99] = 2;
        boxed(b"moov", &[boxed(b"mvhd", &mvhd), boxed(b"trak", &mdia)].concat())
    };
    let first = ftyp.len() + if index_first { moov(0).len() } else { 0 } + 8;
    let moov = moov(first as u32);
    if index_first { [ftyp, moov, data].concat() } else { [ftyp, data, moov].concat() }
}

/// A chunk that `stco` points at.
pub fn chunk(mp4: &[u8], index: usize) -> &[u8] {
    let at = mp4.windows(4).position(|w| w == b"stco").expect("stco") + 12 + 4 * index;
    let place = u32::from_be_bytes(mp4[at..at + 4].try_into().expect("four")) as usize;
    &mp4[place..place + 9]
}

/// Every kind with an example of it.
pub fn examples() -> Vec<(Media, Vec<u8>)> {
    vec![
        (Media::Png, encoded(ImageFormat::Png)),
        (Media::Jpeg, encoded(ImageFormat::Jpeg)),
        (Media::Webp, encoded(ImageFormat::WebP)),
        (Media::Wav, wav()),
        (Media::Mp3, mp3()),
        (Media::Mp4, mp4(true)),
        (Media::Mp4, mp4(false)),
        (Media::Glb, b"glTF\x02\0\0\0\x10\0\0\0rest".to_vec()),
        (Media::Ply, b"ply\nformat ascii 1.0\nend_header\n".to_vec()),
        (Media::Spz, b"\x1f\x8b\x08\0splats".to_vec()),
        (Media::Safetensors, b"\x02\0\0\0\0\0\0\0{}weights".to_vec()),
        (Media::Gguf, b"GGUF\x03\0\0\0weights".to_vec()),
        (Media::Text, "一段生成的文字".as_bytes().to_vec()),
    ]
}

pub fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
}
