//! Keyset pages: the next page starts after the last row of this one, however many rows came before or are added meanwhile.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::Error;

/// The most rows of one page.
pub(crate) const MAX_LIMIT: u32 = 200;

/// Some rows and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The `after` of the next page; `None` at the end.
    pub next: Option<String>,
}

/// A place in a list sorted by time and id.
#[derive(Debug, PartialEq)]
pub(crate) struct Cursor {
    pub time_ms: i64,
    pub id: String,
}

impl Cursor {
    pub fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{} {}", self.time_ms, self.id))
    }

    pub fn decode(text: &str) -> Result<Self, Error> {
        let bad = || Error::Invalid {
            param: "after",
            en: "it is not the 'next' of an earlier page",
            zh: "它不是先前某页返回的 'next'",
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let text = String::from_utf8(bytes).map_err(|_| bad())?;
        let (time, id) = text.split_once(' ').ok_or_else(bad)?;
        Ok(Self { time_ms: time.parse().map_err(|_| bad())?, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_nonsense_is_refused() {
        let cursor = Cursor { time_ms: 1_700_000_000_123, id: "conv_0".into() };
        assert_eq!(Cursor::decode(&cursor.encode()).expect("own cursor"), cursor);
        for bad in ["", "%%%", "aGVsbG8"] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }
}
