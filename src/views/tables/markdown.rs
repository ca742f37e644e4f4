//! The columns of the tables as they stand in the guide.

use super::table::Table;

/// All tables, each with its columns.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    for table in Table::ALL {
        text.push_str(&format!("\n### {}\n\n{}\n\n", table.name(), table.meaning()));
        text.push_str("| column | JSON, CSV | Parquet | unit | meaning |\n|---|---|---|---|---|\n");
        for column in table.columns() {
            let kind = column.kind;
            let may_be_null = if column.optional { ", or null" } else { "" };
            text.push_str(&format!(
                "| `{}` | {}{may_be_null} | {} | {} | {} |\n",
                column.name,
                kind.as_text(),
                kind.in_parquet(),
                kind.unit(),
                column.meaning
            ));
        }
    }
    text.push('\n');
    text
}
