//! The explicit label of audio: the rhythm short-long, short-short, which is "AI" in Morse code. Source: GB 45438-2025, 5.3 c) as quoted in public.

use std::{f32::consts::TAU, io::Cursor};

use crate::{
    Error, Media, Result,
    container::{self, riff},
};

/// One unit of the rhythm, in seconds: a short tone lasts one, a long one three. The standard gives no length.
const UNIT_SECS: f32 = 0.09;
const TONE_HZ: f32 = 880.0;
const LOUDNESS: f32 = 0.3;
/// Tones swell and fade, so that they do not click.
const RAMP_SECS: f32 = 0.006;

/// The rhythm as mono samples in -1 to 1: two letters, and the silence after them. For engines, which put it before the sound.
pub fn audio_rhythm(sample_rate: u32) -> Vec<f32> {
    // (units of tone, units of silence after it): A is short long, I is short short.
    const LETTERS: [(u32, u32); 4] = [(1, 1), (3, 3), (1, 1), (1, 5)];
    let samples = |secs: f32| (secs * sample_rate as f32).round() as usize;
    let mut out = Vec::new();
    for (tone, silence) in LETTERS {
        let len = samples(UNIT_SECS * tone as f32);
        let ramp = samples(RAMP_SECS).max(1);
        for n in 0..len {
            let edge = n.min(len - 1 - n);
            let swell = (edge as f32 / ramp as f32).min(1.0);
            out.push((TAU * TONE_HZ * n as f32 / sample_rate as f32).sin() * LOUDNESS * swell);
        }
        out.resize(out.len() + samples(UNIT_SECS * silence as f32), 0.0);
    }
    out
}

/// Puts the rhythm before the sound of a WAV file.
pub(super) fn add_to_wav(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut source = Cursor::new(bytes);
    let (format, data) = riff::sound(&mut source)?;
    let frame = usize::from(format.block_align);
    let tones = audio_rhythm(format.sample_rate);
    let mut sound = Vec::with_capacity(tones.len() * frame);
    for sample in tones {
        let mut one = Vec::with_capacity(4);
        match (format.tag, format.bits) {
            (1, 8) => one.push((sample * 127.0 + 128.0) as u8),
            (1, 16) => one.extend_from_slice(&((sample * 32767.0) as i16).to_le_bytes()),
            (1, 24) => one.extend_from_slice(&((sample * 8_388_607.0) as i32).to_le_bytes()[..3]),
            (1, 32) => one.extend_from_slice(&((sample * 2_147_483_000.0) as i32).to_le_bytes()),
            (3, 32) => one.extend_from_slice(&sample.to_le_bytes()),
            _ => {
                return Err(Error::Unsupported {
                    media: Media::Wav,
                    what_en: "get the audible label unless their samples are 8 to 32 bit integers or 32 bit floats",
                    what_zh: "添加声音标识，除非采样为 8 至 32 位整数或 32 位浮点数",
                });
            }
        }
        for _ in 0..format.channels {
            sound.extend_from_slice(&one);
        }
    }
    let plan = riff::plan_before_sound(&mut source, &data, sound)?;
    let mut out = Vec::with_capacity(bytes.len() + tones_len(&plan));
    plan.write(&mut source, &mut out).map_err(container::unreadable)?;
    Ok(out)
}

fn tones_len(plan: &container::Plan) -> usize {
    plan.0
        .iter()
        .map(|p| match p {
            container::Piece::New(bytes) => bytes.len(),
            container::Piece::Keep(_) => 0,
        })
        .sum()
}
