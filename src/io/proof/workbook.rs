//! The tables as one workbook in which every cell is text: what a PC opens, with no zero of a number dropped and nothing
//! taken for a formula.

use super::tables::Table;
use rust_xlsxwriter::{Format, IgnoreError, Workbook, Worksheet, XlsxError};

pub const FILE: &str = "tables.xlsx";
/// A sheet takes 1,048,576 lines, a cell 32,767 UTF-16 units; what is left out stands in the CSV.
const LINES_MOST: usize = 1_000_000;
const UNITS_MOST: usize = 32_000;
const REST: &str = "…（其余见 CSV · the rest is in the CSV）";
/// In characters.
const NARROW: u16 = 12;
const WIDE: u16 = 48;

/// # Errors
/// When it cannot be made.
pub fn of(tables: &[Table]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    for table in tables {
        fill(book.add_worksheet(), table)?;
    }
    book.save_to_buffer()
}

fn fill(sheet: &mut Worksheet, table: &Table) -> Result<(), XlsxError> {
    let text = Format::new().set_num_format("@");
    let head = Format::new().set_num_format("@").set_bold();
    sheet.set_name(table.sheet)?.set_freeze_panes(1, 0)?;
    for (column, (name, width)) in (0..).zip(table.head.iter().zip(widths(table))) {
        sheet.set_column_width(column, width)?;
        sheet.write_string_with_format(0, column, *name, &head)?;
    }
    let mut last = 0;
    for (row, cells) in (1..).zip(table.lines.iter().take(LINES_MOST)) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string_with_format(row, column, fitting(cell), &text)?;
        }
        last = row;
    }
    if table.lines.len() > LINES_MOST {
        sheet.write_string(last + 1, 0, REST)?;
    }
    if let Some(columns) = u16::try_from(table.head.len()).ok().filter(|columns| *columns > 0) {
        // No triangle in each number's corner.
        sheet.ignore_error_range(
            1,
            0,
            last.max(1),
            columns - 1,
            IgnoreError::NumberStoredAsText,
        )?;
    }
    Ok(())
}

/// By the longest of the first lines, a Chinese character as two.
fn widths(table: &Table) -> impl Iterator<Item = u16> {
    let width = |text: &str| -> u16 {
        text.chars().take(WIDE.into()).map(|c| if c.is_ascii() { 1 } else { 2 }).sum()
    };
    (0..table.head.len()).map(move |column| {
        let lines = table.lines.iter().take(100).filter_map(|cells| cells.get(column));
        let longest = lines.map(|cell| width(cell)).chain([width(table.head[column])]).max();
        longest.unwrap_or(NARROW).saturating_add(2).clamp(NARROW, WIDE)
    })
}

fn fitting(cell: &str) -> String {
    let mut units = 0;
    let end = cell.char_indices().find(|(_, c)| {
        units += c.len_utf16();
        units > UNITS_MOST
    });
    match end {
        Some((at, _)) => format!("{}{REST}", &cell[..at]),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    #[test]
    fn rec_e4_a_number_is_text_with_all_its_zeros_and_no_cell_is_a_formula() {
        let long = "字".repeat(40_000);
        let cells = ["031186001234", "=1+1", "+8613800130007", "@SUM(A1)", "\"<b>\u{1}&\t", &long];
        let table = Table {
            file: "entries.csv",
            sheet: "记录",
            head: vec!["来电号码 phone"; cells.len()],
            lines: vec![cells.map(str::to_owned).to_vec()],
        };
        let bytes = of(&[table]).unwrap();
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
        assert_eq!(book.sheet_names(), ["记录"]);
        let sheet = book.worksheet_range("记录").unwrap();
        for (column, cell) in cells.iter().enumerate().take(4) {
            assert_eq!(sheet.get((1, column)), Some(&Data::String((*cell).to_owned())));
        }
        let Some(Data::String(cut)) = sheet.get((1, 5)) else { panic!("text") };
        assert!(cut.starts_with("字字") && cut.ends_with(REST));
        assert!(cut.encode_utf16().count() < 32_767, "a spreadsheet takes it");
        assert!(book.worksheet_formula("记录").unwrap().is_empty(), "no formula");
    }
}
