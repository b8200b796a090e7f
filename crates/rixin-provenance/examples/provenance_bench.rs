//! Figures of signing, labelling and verifying, one JSON object a line: `measure`, `value`, `unit`, `how`.
//!
//!     cargo run --release -p rixin-provenance --example provenance_bench [-- --flips N]
//!
//! The video is made by ffmpeg; without it that line is left out, with a word on standard error.

use std::{collections::BTreeMap, io::Cursor, path::Path, process::Command, time::Instant};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use rixin_provenance::{
    Act, Authority, EngineUse, ExplicitLabel, LINEAGE_VERSION, LabelPolicy, Limits, Lineage, Media,
    ModelRole, ModelUse, Origin, SealRequest, Sealed, Signer, SignerOptions, Source, SourceType, Trust,
    Verdict, Verifier,
};

type Failure = Box<dyn std::error::Error>;

const RUNS: usize = 21;

fn main() -> Result<(), Failure> {
    let mut flips = 10_000;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|a| a == "--flips") {
        flips = arguments.get(at + 1).ok_or("--flips takes a number")?.parse()?;
    }
    let dir = tempfile::tempdir()?;
    let options = SignerOptions::default();
    let signer = Signer::open(dir.path(), options.clone())?;
    let authority = Authority::open(dir.path(), options.authority)?;
    let verifier = Verifier::new(Trust::of(&authority, &options.producer, "")?, Limits::default())?;
    let lineage = lineage();
    pictures(&signer, &verifier, &lineage)?;
    video(&signer, &lineage, dir.path())?;
    count_flips(&signer, &verifier, &lineage, flips)
}

fn tell(measure: &str, value: f64, unit: &str, how: &str) {
    println!("{}", serde_json::json!({ "measure": measure, "value": value, "unit": unit, "how": how }));
}

/// Median in milliseconds, the first run left out.
fn median(mut work: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    work()?;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[RUNS / 2] * 100.0).round() / 100.0)
}

fn pictures(signer: &Signer, verifier: &Verifier, lineage: &Lineage) -> Result<(), Failure> {
    let mut seed = 1u32;
    // Smooth with noise, as generated pictures are: a PNG of about two megabytes.
    let picture = RgbImage::from_fn(1024, 1024, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (seed >> 28) as u8;
        Rgb([(x / 5) as u8 ^ noise, (y / 5) as u8 ^ noise, ((x + y) / 9) as u8 ^ noise])
    });
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut png, ImageFormat::Png)?;
    let png = png.into_inner();
    let how = format!("1024x1024 RGB, {} bytes, median of {RUNS}", png.len());
    let request = request(Media::Png, lineage);
    let time = median(|| signer.seal(&request, png.clone()).map(drop).map_err(Into::into))?;
    tell("sign and label a PNG", time, "ms", &how);
    let mut drawn = request.clone();
    drawn.label.explicit = Some(ExplicitLabel::default());
    let time = median(|| signer.seal(&drawn, png.clone()).map(drop).map_err(Into::into))?;
    tell("sign and label a PNG, visible label drawn", time, "ms", &how);
    let sealed = signer.seal(&request, png)?;
    let time = median(|| {
        let report = verifier.verify(Source::Bytes(&sealed.bytes), None)?;
        if report.verdict == Verdict::Valid { Ok(()) } else { Err("not valid".into()) }
    })?;
    tell("verify a PNG", time, "ms", &how);
    Ok(())
}

fn video(signer: &Signer, lineage: &Lineage, dir: &Path) -> Result<(), Failure> {
    let from = dir.join("video.mp4");
    let made = Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=1280x720:rate=25:duration=60",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine=440:duration=60",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-b:v",
            "4M",
        ])
        .args(["-c:a", "aac", "-movflags", "+faststart"])
        .arg(&from)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("left out: the video, as ffmpeg is not here");
        return Ok(());
    }
    let to = dir.join("signed.mp4");
    let request = request(Media::Mp4, lineage);
    let time = median(|| signer.seal_file(&request, &from, &to).map(drop).map_err(Into::into))?;
    let size = std::fs::metadata(&from)?.len();
    tell(
        "sign and label a 60 s MP4",
        time,
        "ms",
        &format!("1280x720, {size} bytes, on disk, median of {RUNS}"),
    );
    Ok(())
}

/// Random bytes of signed files of every kind are changed; how many of the changes are found.
fn count_flips(signer: &Signer, verifier: &Verifier, lineage: &Lineage, tries: usize) -> Result<(), Failure> {
    let mut files: Vec<(Media, Sealed)> = Vec::new();
    let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(40, 30, |x, y| Rgb([x as u8, y as u8, 7])));
    for (media, format) in
        [(Media::Png, ImageFormat::Png), (Media::Jpeg, ImageFormat::Jpeg), (Media::Webp, ImageFormat::WebP)]
    {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format)?;
        files.push((media, signer.seal(&request(media, lineage), bytes.into_inner())?));
    }
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    let mut wav =
        b"RIFF\x44\x01\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x20\x01\0\0"
            .to_vec();
    wav.resize(44 + 288, 3);
    let mp4 = b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08moov\0\0\0\x10mdat12345678".to_vec();
    for (media, bytes) in [
        (Media::Mp3, frame.repeat(4)),
        (Media::Wav, wav),
        (Media::Mp4, mp4),
        (Media::Glb, b"glTF\x02\0\0\0\x10\0\0\0rest".to_vec()),
        (Media::Gguf, b"GGUF\x03\0\0\0weights".to_vec()),
    ] {
        files.push((media, signer.seal(&request(media, lineage), bytes)?));
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut found = 0;
    for _ in 0..tries {
        let (media, sealed) = &files[random(files.len())];
        let (mut bytes, mut sidecar) = (sealed.bytes.clone(), sealed.sidecar.clone());
        let carrier = match &mut sidecar {
            Some(sidecar) if random(2) == 0 => sidecar,
            _ => &mut bytes,
        };
        let at = random(carrier.len());
        let mask = 1 + random(255) as u8;
        carrier[at] ^= mask;
        let report = verifier.verify(Source::Bytes(&bytes), sidecar.as_deref())?;
        if report.verdict == Verdict::Valid {
            eprintln!("missed: {media:?}, byte {at}, mask {mask:#x}");
        } else {
            found += 1;
        }
    }
    let kinds = files.len();
    tell(
        "flipped bytes found",
        f64::from(found),
        &format!("of {tries}"),
        &format!("{kinds} kinds of signed files, one random byte each try"),
    );
    Ok(())
}

fn request(media: Media, lineage: &Lineage) -> SealRequest<'_> {
    SealRequest { media, lineage, label: LabelPolicy::default(), parents: &[], mining: None }
}

fn lineage() -> Lineage {
    Lineage {
        version: LINEAGE_VERSION,
        artifact: "bench".into(),
        title: None,
        act: Act::Created,
        source_type: SourceType::Generated,
        engine: EngineUse { name: "image".into(), version: env!("CARGO_PKG_VERSION").into() },
        created_at: jiff::Timestamp::UNIX_EPOCH,
        models: vec![ModelUse {
            id: "base".into(),
            sha256: Some("00".repeat(32)),
            role: ModelRole::Base,
            origin: Origin::Own,
            source: None,
            licence: None,
            base: None,
            datasets: vec![],
            strength: None,
        }],
        parents: vec![],
        datasets: vec![],
        parameters: BTreeMap::new(),
        seed: Some(1),
        tenant: None,
        prompt: None,
    }
}
