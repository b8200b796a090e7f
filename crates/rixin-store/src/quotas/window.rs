//! Windows of time in UTC.

use super::Period;
use crate::ledger::day_text;

const DAY: i64 = 86_400_000;

/// Begin and end of the window that a time lies in; what stands has one from 0 on.
pub(crate) fn of(period: Period, at: i64) -> (i64, i64) {
    let aligned = |length: i64| {
        let starts = at - at.rem_euclid(length);
        (starts, starts + length)
    };
    match period {
        Period::Minute => aligned(60_000),
        Period::Hour => aligned(3_600_000),
        Period::Day => aligned(DAY),
        Period::Month => month(at),
        Period::Standing => (0, i64::MAX),
    }
}

fn month(at: i64) -> (i64, i64) {
    let day_of_month = |at: i64| day_text(at)[8..].parse::<i64>().unwrap_or(1);
    let today = at - at.rem_euclid(DAY);
    let starts = today - (day_of_month(at) - 1) * DAY;
    // 32 days after the first it is some day of the next month.
    let beyond = starts + 32 * DAY;
    (starts, beyond - (day_of_month(beyond) - 1) * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_known_times() {
        // 2024-02-29T12:34:56.789Z
        let at = 1_709_210_096_789;
        let text = |(starts, ends): (i64, i64)| (day_text(starts), day_text(ends));
        assert_eq!(text(of(Period::Month, at)), ("2024-02-01".into(), "2024-03-01".into()));
        assert_eq!(text(of(Period::Day, at)), ("2024-02-29".into(), "2024-03-01".into()));
        assert_eq!(of(Period::Hour, at), (1_709_208_000_000, 1_709_211_600_000));
        assert_eq!(of(Period::Minute, at), (1_709_210_040_000, 1_709_210_100_000));
        // 2026-12-31T23:59:59.999Z and the millisecond after it.
        let last = 1_798_761_599_999;
        assert_eq!(text(of(Period::Month, last)), ("2026-12-01".into(), "2027-01-01".into()));
        assert_eq!(text(of(Period::Month, last + 1)), ("2027-01-01".into(), "2027-02-01".into()));
        assert!(of(Period::Month, last).1 % DAY == 0);
    }
}
