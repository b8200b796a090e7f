//! The explicit label on pictures: words as tall as the standard wants, on a box that makes them readable on anything.

use std::{io::Cursor, sync::OnceLock};

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use super::{Corner, ExplicitLabel};
use crate::{Error, Media, Result, container};

/// A subset of Noto Sans CJK SC (SIL Open Font License): fonts/OFL.txt, tests/reference/label_font.py.
static OUTLINES: &[u8] = include_bytes!("../../fonts/label.otf");

/// The least height of the words, as a part of the shorter side (GB 45438-2025, 5.2 as described in public).
const LEAST_HEIGHT: f32 = 0.05;
/// Below this many pixels nobody can read it, whatever the picture's size.
const LEAST_PIXELS: f32 = 10.0;
/// Pictures over this many pixels are not decoded.
const MOST_PIXELS: u64 = 1 << 28;

fn font() -> Result<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(OUTLINES).ok())
        .as_ref()
        .ok_or_else(|| Error::sign("the outlines of the label can't be read"))
}

/// A label drawn on its box: coverage of the words, 0 to 255, row by row.
pub(super) struct Stamp {
    pub width: u32,
    pub height: u32,
    pub words: Vec<u8>,
}

/// The words for a picture of this size; capitals and ideographs are at least a twentieth of the shorter side tall.
pub(super) fn stamp(width: u32, height: u32, label: &ExplicitLabel) -> Result<Stamp> {
    let font = font()?;
    let wanted = (width.min(height) as f32 * LEAST_HEIGHT).ceil().max(LEAST_PIXELS);
    // The capital A is the lowest of what has to be that tall.
    let trial = PxScale::from(1000.0);
    let capital = font.glyph_id('A').with_scale(trial);
    let capital = font.outline_glyph(capital).map_or(700.0, |o| o.px_bounds().height());
    let scale = PxScale::from(1000.0 * (wanted + 1.0) / capital);
    let scaled = font.as_scaled(scale);
    let mut x = 0.0;
    let mut glyphs: Vec<Glyph> = Vec::new();
    for letter in label.text.words().chars() {
        let id = font.glyph_id(letter);
        glyphs.push(id.with_scale_and_position(scale, point(x, scaled.ascent())));
        x += scaled.h_advance(id);
    }
    let outlines: Vec<_> = glyphs.into_iter().filter_map(|g| font.outline_glyph(g)).collect();
    let top = outlines.iter().map(|o| o.px_bounds().min.y).fold(f32::MAX, f32::min).floor();
    let bottom = outlines.iter().map(|o| o.px_bounds().max.y).fold(f32::MIN, f32::max).ceil();
    let margin = (wanted * 0.4).ceil();
    let full_width = (x + 2.0 * margin).ceil() as u32;
    let full_height = (bottom - top + 2.0 * margin) as u32;
    let mut words = vec![0u8; full_width as usize * full_height as usize];
    for outline in outlines {
        let bounds = outline.px_bounds();
        outline.draw(|dx, dy, coverage| {
            let px = (bounds.min.x + margin) as i64 + i64::from(dx);
            let py = (bounds.min.y - top + margin) as i64 + i64::from(dy);
            if (0..i64::from(full_width)).contains(&px) && (0..i64::from(full_height)).contains(&py) {
                let place = &mut words[py as usize * full_width as usize + px as usize];
                *place = (*place).max((coverage * 255.0).clamp(0.0, 255.0) as u8);
            }
        });
    }
    Ok(Stamp { width: full_width, height: full_height, words })
}

/// Where the upper left corner of a stamp lies on a picture.
pub(super) fn place(width: u32, height: u32, stamp: &Stamp, corner: Corner) -> (u32, u32) {
    let gap = width.min(height) / 50;
    let right = width.saturating_sub(stamp.width + gap);
    let low = height.saturating_sub(stamp.height + gap);
    match corner {
        Corner::TopLeft => (gap, gap),
        Corner::TopRight => (right, gap),
        Corner::BottomLeft => (gap, low),
        Corner::BottomRight => (right, low),
    }
}

/// Draws the label on pixels: 8 bits a channel, 1 to 4 channels (grey, grey and alpha, RGB, RGBA), rows without gaps.
///
/// For engines, which have pixels before they have a file: nothing is encoded twice then.
///
/// # Errors
/// When the length of `pixels` is not that of such a picture.
pub fn draw_label(
    pixels: &mut [u8],
    width: u32,
    height: u32,
    channels: usize,
    label: &ExplicitLabel,
) -> Result<()> {
    let expected = (width as usize).checked_mul(height as usize).and_then(|n| n.checked_mul(channels));
    if !(1..=4).contains(&channels) || expected != Some(pixels.len()) || pixels.is_empty() {
        return Err(Error::media(
            Media::Other,
            "the pixels do not fit the size that was given",
            "像素数据与给定的尺寸不符",
        ));
    }
    let stamp = stamp(width, height, label)?;
    let (left, top) = place(width, height, &stamp, label.corner);
    let colours = if channels >= 3 { 3 } else { 1 };
    for row in 0..stamp.height.min(height.saturating_sub(top)) {
        for column in 0..stamp.width.min(width.saturating_sub(left)) {
            let coverage = u32::from(stamp.words[(row * stamp.width + column) as usize]);
            let at = ((top + row) as usize * width as usize + (left + column) as usize) * channels;
            for value in &mut pixels[at..at + colours] {
                // A dark box lets a third of the picture through; the words are white.
                let ground = u32::from(*value) * 35 / 100;
                *value = ((ground * (255 - coverage) + 255 * coverage) / 255) as u8;
            }
            if channels == 2 || channels == 4 {
                let alpha = &mut pixels[at + channels - 1];
                *alpha = (*alpha).max(200);
            }
        }
    }
    Ok(())
}

/// Decodes, draws, encodes: PNG and WebP without loss, JPEG at quality 95.
pub(super) fn draw_on_file(media: Media, bytes: &[u8], label: &ExplicitLabel) -> Result<Vec<u8>> {
    let format = match media {
        Media::Png => ImageFormat::Png,
        Media::Jpeg => ImageFormat::Jpeg,
        _ => ImageFormat::WebP,
    };
    let unreadable = |e: image::ImageError| Error::media(media, e.to_string(), e.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_PIXELS * 8);
    reader.limits(limits);
    let mut picture = reader.decode().map_err(unreadable)?;
    let (width, height) = (picture.width(), picture.height());
    let mut out = Vec::with_capacity(bytes.len() + (64 << 10));
    match &mut picture {
        DynamicImage::ImageLuma8(p) => draw_label(p, width, height, 1, label)?,
        DynamicImage::ImageLumaA8(p) => draw_label(p, width, height, 2, label)?,
        DynamicImage::ImageRgb8(p) => draw_label(p, width, height, 3, label)?,
        DynamicImage::ImageRgba8(p) => draw_label(p, width, height, 4, label)?,
        _ => {
            return Err(Error::Unsupported {
                media,
                what_en: "get the visible label with more than 8 bits a channel: draw it before encoding",
                what_zh: "在每通道超过 8 位时添加可见标识：请在编码前绘制",
            });
        }
    }
    match media {
        Media::Png => return encode_png(bytes, &picture),
        Media::Jpeg => {
            let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 95);
            picture.write_with_encoder(encoder).map_err(unreadable)?;
        }
        _ => {
            let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut out);
            picture.write_with_encoder(encoder).map_err(unreadable)?;
        }
    }
    Ok(out)
}

/// Fast, and with the colour profile and the other chunks of the picture as it was.
fn encode_png(old: &[u8], picture: &DynamicImage) -> Result<Vec<u8>> {
    let colour = match picture {
        DynamicImage::ImageLuma8(_) => png::ColorType::Grayscale,
        DynamicImage::ImageLumaA8(_) => png::ColorType::GrayscaleAlpha,
        DynamicImage::ImageRgb8(_) => png::ColorType::Rgb,
        _ => png::ColorType::Rgba,
    };
    let mut new = Vec::with_capacity(old.len() + (64 << 10));
    let failed = |e: png::EncodingError| Error::media(Media::Png, e.to_string(), e.to_string());
    let mut encoder = png::Encoder::new(&mut new, picture.width(), picture.height());
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    // Trying all filters on every row costs more than it saves.
    encoder.set_filter(png::Filter::Paeth);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(picture.as_bytes()).map_err(failed)?;
    writer.finish().map_err(failed)?;
    let plan = container::png::plan_extras(&mut Cursor::new(old))?;
    let head = 8 + 25; // signature and IHDR
    let mut out = new[..head].to_vec();
    plan.write(&mut Cursor::new(old), &mut out).map_err(container::unreadable)?;
    out.extend_from_slice(&new[head..]);
    Ok(out)
}
