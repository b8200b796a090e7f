//! Money in whole millionths of a currency's unit; never a float.

use crate::Error;

/// The most of an amount that a price may be, in millionths: a billion.
const MOST: i64 = 1_000_000_000_000_000;

/// Reads `12`, `0.15` or `0.000001`: no sign, no more than six places.
///
/// # Errors
/// It is not such a figure, or over a billion.
pub fn parse_money(param: &'static str, text: &str) -> Result<i64, Error> {
    let bad = || Error::Invalid {
        param,
        en: "it is a price such as 0.15: figures, with at most six after the point, up to a billion",
        zh: "应为 0.15 这样的价格：数字，小数点后最多六位，不超过十亿",
    };
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || part.len() > 6 || !digits(whole) || !digits(part) {
        return Err(bad());
    }
    let whole: i64 = whole.parse().map_err(|_| bad())?;
    let part: i64 = format!("{part:0<6}").parse().map_err(|_| bad())?;
    let micros = whole * 1_000_000 + part;
    if micros > MOST { Err(bad()) } else { Ok(micros) }
}

/// `0.15`: at least two places, at most six.
pub fn money_text(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, part) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
    let part = format!("{part:06}");
    let kept = part.trim_end_matches('0').len().max(2);
    format!("{sign}{whole}.{}", &part[..kept])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, micros, again) in [
            ("0", 0, "0.00"),
            ("12", 12_000_000, "12.00"),
            ("0.15", 150_000, "0.15"),
            ("0.1", 100_000, "0.10"),
            ("0.000001", 1, "0.000001"),
            (" 3.25 ", 3_250_000, "3.25"),
            ("1000000000", MOST, "1000000000.00"),
        ] {
            assert_eq!(parse_money("prompt", text).expect("a price"), micros, "{text}");
            assert_eq!(money_text(micros.into()), again);
        }
        for bad in
            ["", ".", ".5", "-1", "+1", "1e3", "0.0000001", "1,5", "１", "1000000000.1", "99999999999", "NaN"]
        {
            assert!(parse_money("prompt", bad).is_err(), "{bad}");
        }
    }
}
