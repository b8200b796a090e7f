//! Tables as RFC 4180 text that no spreadsheet mistakes for formulas.

use crate::{AuditRow, audit::AUDIT_COLUMNS};

/// A line. A cell that a spreadsheet would run as a formula gets an apostrophe before it, as OWASP advises; figures do not.
pub fn csv_line<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        let formula = cell.starts_with([
            '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ]) && cell.parse::<i64>().is_err();
        let guard = if formula { "'" } else { "" };
        if cell.contains(['"', ',', '\r', '\n']) || formula {
            line.push_str(&format!("\"{guard}{}\"", cell.replace('"', "\"\"")));
        } else {
            line.push_str(cell);
        }
    }
    line.push_str("\r\n");
    line
}

/// The heads of the audit log's columns.
pub fn audit_csv_head() -> String {
    csv_line(AUDIT_COLUMNS)
}

/// A row of the audit log.
pub fn audit_csv_row(row: &AuditRow) -> String {
    let outcome = serde_json::to_value(row.outcome).unwrap_or_default();
    csv_line([
        row.seq.to_string().as_str(),
        &row.at.to_string(),
        &row.actor.kind,
        &row.actor.id,
        &row.actor.name,
        &row.actor.address,
        &row.action,
        &row.target,
        row.project_id.as_deref().unwrap_or_default(),
        outcome.as_str().unwrap_or_default(),
        &serde_json::Value::Object(row.details.clone()).to_string(),
        &row.hash,
    ])
}

#[cfg(test)]
mod tests {
    use super::csv_line;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_no_formula_survives() {
        assert_eq!(csv_line(["a", "b c", "1"]), "a,b c,1\r\n");
        assert_eq!(
            csv_line(["a,b", "say \"hi\"", "two\nlines", ""]),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n"
        );
        for bad in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "＝1"] {
            assert_eq!(csv_line([bad]), format!("\"'{bad}\"\r\n"));
        }
        assert_eq!(csv_line(["-5"]), "-5\r\n", "a figure is no formula");
    }
}
