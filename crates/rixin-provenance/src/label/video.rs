//! The explicit label on videos: ffmpeg, as a child process, lays the drawn words over the picture.

use std::{
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rixin_base::Cancel;

use super::{
    ExplicitLabel,
    draw::{self, Stamp},
};
use crate::{Error, Result};

/// The label stands from the first frame for this long at least (GB 45438-2025, 5.4 as described in public).
const SECONDS: f64 = 2.0;

/// Draws the label on a video: the picture is encoded anew (H.264, near lossless), the sound is copied.
///
/// `ffmpeg` is the program; `ffprobe` lies beside it. Cancelling kills the child.
pub fn draw_video_label(
    ffmpeg: &Path,
    from: &Path,
    to: &Path,
    label: &ExplicitLabel,
    cancel: &Cancel,
) -> Result<()> {
    let (width, height) = size(ffmpeg, from, cancel)?;
    let stamp = draw::stamp(width, height, label)?;
    let (left, top) = draw::place(width, height, &stamp, label.corner);
    let folder = tempfile::tempdir().map_err(|e| failed(e.to_string()))?;
    let picture = folder.path().join("label.png");
    write_overlay(&stamp, &picture)?;
    let until = if label.whole_video { String::new() } else { format!(":enable='lte(t,{SECONDS:.1})'") };
    let child = Command::new(ffmpeg)
        .args(["-nostdin", "-v", "error", "-y", "-i"])
        .arg(from)
        .arg("-i")
        .arg(&picture)
        .args(["-filter_complex", &format!("[0:v:0][1:v]overlay={left}:{top}{until}[v]")])
        .args(["-map", "[v]", "-map", "0:a?", "-c:a", "copy", "-map_metadata", "0"])
        .args(["-movflags", "use_metadata_tags+faststart"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p"])
        .args(["-f", "mp4"])
        .arg(to)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("{}: {e}", ffmpeg.display())))?;
    finish(child, cancel).map(drop)
}

fn failed(why: impl Into<String>) -> Error {
    Error::Ffmpeg { why: why.into() }
}

/// Waits for the child, reads what it says, and kills it when the work is cancelled.
fn finish(mut child: Child, cancel: &Cancel) -> Result<String> {
    let mut said = child.stdout.take();
    let mut complaints = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(said) = &mut said {
            let _ = said.take(64 << 10).read_to_string(&mut text);
        }
        text
    });
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(complaints) = &mut complaints {
            let _ = complaints.take(64 << 10).read_to_string(&mut text);
        }
        text
    });
    let status = loop {
        if cancel.is_cancelled() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed("cancelled"));
        }
        match child.try_wait().map_err(|e| failed(e.to_string()))? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let said = reader.join().unwrap_or_default();
    let complaints = complaints.join().unwrap_or_default();
    if !status.success() {
        let last = complaints.lines().last().unwrap_or("it ended without a word").to_owned();
        return Err(failed(last));
    }
    Ok(said)
}

/// Width and height as shown, in pixels.
fn size(ffmpeg: &Path, video: &Path, cancel: &Cancel) -> Result<(u32, u32)> {
    let ffprobe = ffmpeg.with_file_name("ffprobe");
    let child = Command::new(&ffprobe)
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height"])
        .args(["-of", "csv=p=0:s=x"])
        .arg(video)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("{}: {e}", ffprobe.display())))?;
    let said = finish(child, cancel)?;
    let mut sides = said.lines().next().unwrap_or_default().split('x').map(|n| n.trim().parse::<u32>());
    match (sides.next(), sides.next()) {
        (Some(Ok(width)), Some(Ok(height))) if width > 0 && height > 0 => Ok((width, height)),
        _ => Err(failed("the file has no picture")),
    }
}

/// White words on a box that is two thirds black.
fn write_overlay(stamp: &Stamp, path: &Path) -> Result<()> {
    let mut pixels = Vec::with_capacity(stamp.words.len() * 4);
    for coverage in &stamp.words {
        pixels.extend_from_slice(&[
            *coverage,
            *coverage,
            *coverage,
            166 + (u16::from(*coverage) * 89 / 255) as u8,
        ]);
    }
    image::save_buffer(path, &pixels, stamp.width, stamp.height, image::ColorType::Rgba8)
        .map_err(|e| failed(e.to_string()))
}
