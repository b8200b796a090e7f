//! Media types: which carry their credentials inside, and which beside them.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kinds of files that the suite makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// PNG picture.
    Png,
    /// JPEG picture.
    Jpeg,
    /// WebP picture.
    Webp,
    /// MP4 video (or audio: M4A).
    Mp4,
    /// WAV audio.
    Wav,
    /// MP3 audio.
    Mp3,
    /// glTF binary.
    Glb,
    /// PLY points or splats.
    Ply,
    /// SPZ splats.
    Spz,
    /// Safetensors weights.
    Safetensors,
    /// GGUF weights.
    Gguf,
    /// UTF-8 text.
    Text,
    /// Anything else.
    Other,
}

impl Media {
    /// All of them.
    pub const ALL: [Media; 13] = [
        Media::Png,
        Media::Jpeg,
        Media::Webp,
        Media::Mp4,
        Media::Wav,
        Media::Mp3,
        Media::Glb,
        Media::Ply,
        Media::Spz,
        Media::Safetensors,
        Media::Gguf,
        Media::Text,
        Media::Other,
    ];

    /// The MIME type.
    pub fn mime(self) -> &'static str {
        match self {
            Media::Png => "image/png",
            Media::Jpeg => "image/jpeg",
            Media::Webp => "image/webp",
            Media::Mp4 => "video/mp4",
            Media::Wav => "audio/wav",
            Media::Mp3 => "audio/mpeg",
            Media::Glb => "model/gltf-binary",
            Media::Ply => "model/ply",
            Media::Spz => "model/spz",
            Media::Safetensors => "application/safetensors",
            Media::Gguf => "application/gguf",
            Media::Text => "text/plain",
            Media::Other => "application/octet-stream",
        }
    }

    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            Media::Png => "png",
            Media::Jpeg => "jpg",
            Media::Webp => "webp",
            Media::Mp4 => "mp4",
            Media::Wav => "wav",
            Media::Mp3 => "mp3",
            Media::Glb => "glb",
            Media::Ply => "ply",
            Media::Spz => "spz",
            Media::Safetensors => "safetensors",
            Media::Gguf => "gguf",
            Media::Text => "txt",
            Media::Other => "bin",
        }
    }

    /// The kind of a MIME type, without its parameters.
    pub fn from_mime(mime: &str) -> Media {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match mime.as_str() {
            "image/jpg" => Media::Jpeg,
            "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Media::Wav,
            "audio/mp3" => Media::Mp3,
            "audio/mp4" | "video/quicktime" => Media::Mp4,
            other => Media::ALL.into_iter().find(|m| m.mime() == other).unwrap_or(Media::Other),
        }
    }

    /// The kind that a file name's ending says.
    pub fn from_path(path: &Path) -> Media {
        let Some(end) = path.extension().and_then(|e| e.to_str()) else { return Media::Other };
        match end.to_ascii_lowercase().as_str() {
            "jpeg" => Media::Jpeg,
            "m4a" | "m4v" | "mov" => Media::Mp4,
            "bin" => Media::Other,
            "md" | "json" | "jsonl" => Media::Text,
            other => Media::ALL.into_iter().find(|m| m.extension() == other).unwrap_or(Media::Other),
        }
    }

    /// The kind that the first bytes (16 are enough) say; `None` where they say nothing.
    pub fn sniff(head: &[u8]) -> Option<Media> {
        let at = |place: usize, what: &[u8]| head.get(place..place + what.len()) == Some(what);
        Some(match head {
            _ if at(0, b"\x89PNG\r\n\x1a\n") => Media::Png,
            _ if at(0, b"\xff\xd8\xff") => Media::Jpeg,
            _ if at(0, b"RIFF") && at(8, b"WEBP") => Media::Webp,
            _ if at(0, b"RIFF") && at(8, b"WAVE") => Media::Wav,
            _ if at(4, b"ftyp") => Media::Mp4,
            _ if at(0, b"ID3") => Media::Mp3,
            _ if at(0, b"glTF") => Media::Glb,
            _ if at(0, b"ply\n") || at(0, b"ply\r") => Media::Ply,
            _ if at(0, b"GGUF") => Media::Gguf,
            _ if head.len() > 9 && head[8] == b'{' && head[3..8] == [0; 5] => Media::Safetensors,
            [0xff, b, ..] if b & 0xe0 == 0xe0 && b & 0x06 == 0x02 => Media::Mp3,
            _ => return None,
        })
    }

    /// Whether the credentials lie inside the file. All others get a `.c2pa` file beside them.
    pub fn embeds(self) -> bool {
        matches!(self, Media::Png | Media::Jpeg | Media::Webp | Media::Mp4 | Media::Wav | Media::Mp3)
    }
}
