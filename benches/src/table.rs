//! Tables of Markdown that are also read as they are, on a terminal.

/// The text with the columns of its tables below each other. A cell has no `|` in it.
pub(crate) fn aligned(text: &str) -> String {
    let mut out = String::new();
    let mut table: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        match line.starts_with('|') {
            true => table.push(line.trim_matches('|').split('|').map(str::trim).collect()),
            false => {
                write(&std::mem::take(&mut table), &mut out);
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    write(&table, &mut out);
    out
}

fn write(table: &[Vec<&str>], out: &mut String) {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_right = |column: usize| {
        table.iter().any(|row| {
            row.get(column)
                .is_some_and(|cell| is_rule(cell) && cell.ends_with(':'))
        })
    };
    for row in table {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            out.push_str("| ");
            out.push_str(&of_width(cell, width, is_right(column)));
            out.push(' ');
        }
        out.push_str("|\n");
    }
}

fn is_rule(cell: &str) -> bool {
    cell.starts_with("---")
}

/// A rule is as long as its column is wide.
fn of_width(cell: &str, width: usize, is_right: bool) -> String {
    let missing = width.saturating_sub(cell.chars().count());
    match (is_rule(cell), is_right) {
        (true, _) => "-".repeat(missing) + cell,
        (false, true) => " ".repeat(missing) + cell,
        (false, false) => cell.to_owned() + &" ".repeat(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_below_each_other_and_the_rest_is_as_it_was() {
        let text = "# A\n\n|  | one | µs |\n| --- | ---: | ---: |\n| longer | 1 | 22222 |\n\nend\n";
        let wanted =
            "# A\n\n|        |  one |    µs |\n| ------ | ---: | ----: |\n| longer |    1 | 22222 |\n\nend\n";
        assert_eq!(aligned(text), wanted);
        assert_eq!(aligned(&aligned(text)), wanted, "rules may be longer");
    }
}
