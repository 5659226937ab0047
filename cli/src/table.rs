//! Columns of text: names to the left, numbers to the right.

use std::fmt;

/// Rows of as many cells as the head has.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
    /// How many columns from the left hold names.
    names: usize,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(head: [&str; COLUMNS], names: usize) -> Self {
        Self { rows: vec![head.map(str::to_owned)], names }
    }

    pub(crate) fn row(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells);
    }
}

impl<const COLUMNS: usize> fmt::Display for Table<COLUMNS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column < self.names {
                    line += &format!("{cell:<width$}  ");
                } else {
                    line += &format!("{cell:>width$}  ");
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_left_and_numbers_right_under_their_heads() {
        let mut table = Table::new(["mode", "maps"], 1);
        table.row(["separate".to_owned(), "8".to_owned()]);
        table.row(["µ".to_owned(), "12345".to_owned()]);
        assert_eq!(table.to_string(), "mode       maps\nseparate      8\nµ         12345\n");
    }
}
