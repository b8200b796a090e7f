//! Labels of GB 45438-2025: the implicit one in a file's metadata, and the explicit one that people see or hear.

mod aigc;
mod draw;
mod sound;
mod text;
mod video;

use std::io::Cursor;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::aigc::{AigcLabel, AigcMark};
pub use self::draw::draw_label;
pub use self::sound::audio_rhythm;
pub use self::text::{text_document_property, text_header, text_label};
pub use self::video::draw_video_label;
use crate::{Error, Media, Result, container};

/// The words of the explicit label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LabelText {
    /// AI生成
    #[default]
    Zh,
    /// AI-generated
    En,
    /// AI生成 AI-generated
    Both,
}

impl LabelText {
    /// The words.
    pub fn words(self) -> &'static str {
        match self {
            LabelText::Zh => "AI生成",
            LabelText::En => "AI-generated",
            LabelText::Both => "AI生成 AI-generated",
        }
    }
}

/// Where the explicit label stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Corner {
    /// Top left.
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    #[default]
    BottomRight,
}

/// The explicit label, for those who set it by policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ExplicitLabel {
    /// Its words.
    pub text: LabelText,
    /// Its place.
    pub corner: Corner,
    /// In a video, whether it stays to the end; otherwise it stands for the first two seconds.
    pub whole_video: bool,
}

/// Which labels a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct LabelPolicy {
    /// The one in the metadata.
    pub implicit: bool,
    /// The one that people see or hear; `None` where the engine drew it already or the law does not ask for it. Kinds with neither
    /// picture nor sound (meshes, weights, text) are left as they are.
    pub explicit: Option<ExplicitLabel>,
}

impl Default for LabelPolicy {
    fn default() -> Self {
        Self { implicit: true, explicit: None }
    }
}

impl AigcLabel {
    /// The value as it is written into a file of this kind.
    pub(crate) fn value(&self, _media: Media) -> String {
        self.to_json()
    }
}

/// Writes the implicit label into a file; the content is not encoded anew.
///
/// PNG, JPEG and WebP get XMP; MP4 the key `AIGC` in `moov/udta/meta`; MP3 the frame `TXXX:AIGC`; WAV the entry `AIGC` of
/// `LIST/INFO`. All other kinds are refused: their label stands in the credentials beside them.
pub fn write_label(media: Media, bytes: &[u8], label: &AigcLabel) -> Result<Vec<u8>> {
    let value = label.value(media);
    let mut source = Cursor::new(bytes);
    let plan = container::plan_label(media, &mut source, &value)?;
    let mut out = Vec::with_capacity(bytes.len() + value.len() + 1024);
    plan.write(&mut source, &mut out).map_err(container::unreadable)?;
    Ok(out)
}

/// The implicit label of a file, whoever wrote it.
pub fn read_label(media: Media, bytes: &[u8]) -> Result<Option<AigcLabel>> {
    let value = container::find_label(media, &mut Cursor::new(bytes))?;
    Ok(value.and_then(|text| AigcLabel::from_json(&text)))
}

/// Whether [`apply_explicit`] changes files of this kind.
pub(crate) fn draws(media: Media) -> bool {
    matches!(media, Media::Png | Media::Jpeg | Media::Webp | Media::Wav | Media::Mp3)
}

/// The explicit label on a file in memory.
pub(crate) fn apply_explicit(media: Media, policy: &LabelPolicy, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let Some(explicit) = policy.explicit else { return Ok(bytes) };
    match media {
        Media::Png | Media::Jpeg | Media::Webp => draw::draw_on_file(media, &bytes, &explicit),
        Media::Wav => sound::add_to_wav(&bytes),
        Media::Mp3 => Err(Error::Unsupported {
            media,
            what_en: "get the audible label afterwards: put it before the sound, then encode",
            what_zh: "事后添加声音标识：请在编码前把节奏加在声音之前",
        }),
        Media::Mp4 => Err(Error::Unsupported {
            media,
            what_en: "get the visible label in memory: draw it on the file with ffmpeg first",
            what_zh: "在内存中添加可见标识：请先用 ffmpeg 在文件上绘制",
        }),
        _ => Ok(bytes),
    }
}
