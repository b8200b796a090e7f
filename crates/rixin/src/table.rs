//! Tables whose columns stand straight also where Chinese characters are two cells wide.

use unicode_width::UnicodeWidthStr;

/// A column's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Text.
    Left,
    /// Figures.
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[(&str, Side)]) -> Self {
        let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![heading] }
    }

    /// Adds a row; it has as many cells as the table has columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| one_line(&cell)).collect();
        debug_assert_eq!(cells.len(), self.sides.len());
        self.rows.push(cells);
    }

    /// The lines, without trailing spaces. The last column is cut to `width` cells of the whole line, where one is given.
    pub fn render(&self, width: Option<usize>) -> String {
        let columns = self.sides.len();
        let widths: Vec<usize> =
            (0..columns).map(|i| self.rows.iter().map(|row| row[i].width()).max().unwrap_or(0)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            let mut used = 0;
            for (i, cell) in row.iter().enumerate() {
                let last = i + 1 == columns;
                let fill = widths[i].saturating_sub(cell.width());
                if self.sides[i] == Side::Right {
                    line.push_str(&" ".repeat(fill));
                }
                match width {
                    Some(width) if last && self.sides[i] == Side::Left => {
                        line.push_str(&cut(cell, width.saturating_sub(used).max(16)));
                    }
                    _ => line.push_str(cell),
                }
                if !last {
                    if self.sides[i] == Side::Left {
                        line.push_str(&" ".repeat(fill));
                    }
                    line.push_str("  ");
                }
                used += widths[i] + 2;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// A cell has one line, and nothing that moves the cursor.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `width` cells, the cut marked by `…`.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        let cells = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + cells > width {
            break;
        }
        used += cells;
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_cells() {
        let mut table = Table::new(&[("NAME", Side::Left), ("SIZE", Side::Right), ("WHAT", Side::Left)]);
        table.row(["日新".into(), "9".into(), "通用对话".into()]);
        table.row(["ab".into(), "1234".into(), "chat\nmodel".into()]);
        assert_eq!(table.render(None), "NAME  SIZE  WHAT\n日新     9  通用对话\nab    1234  chat model\n");
    }

    #[test]
    fn a_cut_is_marked_and_fits() {
        assert_eq!(cut("通用对话模型", 7), "通用对…");
        assert_eq!(cut("short", 7), "short");
    }
}
