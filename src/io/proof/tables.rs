//! Readable tables of what is handed out: as CSV (RFC 4180) for programs; for people see [`super::workbook`], as a
//! spreadsheet takes the digits of a CSV for a number.

use crate::duty::entry::beijing;
use crate::duty::proof::proven::{Cell, Proven};
use chrono::{DateTime, Utc};

/// 20261003-2100至20261004-0900
pub fn period(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let name = |at: DateTime<Utc>| at.with_timezone(&beijing()).format("%Y%m%d-%H%M%S").to_string();
    format!("{}至{}", name(from), name(to))
}

/// A table, cell by cell as it is read.
pub struct Table {
    /// File name of the CSV.
    pub file: &'static str,
    /// In the workbook.
    pub sheet: &'static str,
    pub head: Vec<&'static str>,
    pub lines: Vec<Vec<String>>,
}

/// File name, name in the workbook, kind of the rows, and its columns: heading and name.
type Plan = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const TABLES: &[Plan] = &[
    (
        "entries.csv",
        "记录",
        "entry",
        &[
            ("编号 number", "number"),
            ("发生时间 occurred", "occurred_ms"),
            ("状态 state", "state"),
            ("紧急程度 urgency", "urgency"),
            ("类别 category", "category"),
            ("来电单位 unit", "caller_unit"),
            ("来电人 name", "caller_name"),
            ("职务 duty", "caller_duty"),
            ("来电号码 phone", "caller_phone"),
            ("事由 subject", "subject"),
            ("内容 content", "content"),
            ("拟办 proposal", "proposal"),
            ("承办 undertaker", "undertaker"),
            ("结果 result", "result"),
            ("备注 remark", "remark"),
        ],
    ),
    (
        "revisions.csv",
        "修订",
        "revision",
        &[
            ("记录 entry", "entry"),
            ("序号 no", "no"),
            ("时间 at", "at_ms"),
            ("人员 actor", "actor"),
            ("种类 kind", "kind"),
            ("改动 changes", "changes"),
            ("原因 reason", "reason"),
        ],
    ),
    (
        "calls.csv",
        "通话",
        "call",
        &[
            ("编号 number", "number"),
            ("记录 entry", "entry"),
            ("方向 direction", "direction"),
            ("号码 caller", "caller"),
            ("显示名 display", "display"),
            ("被叫 callee", "callee"),
            ("值班号码 called", "called"),
            ("来电 arrived", "arrived_ms"),
            ("接听 answered", "answered_ms"),
            ("接听话机 answered by", "answered_by"),
            ("结束 ended", "ended_ms"),
            ("结果 disposition", "disposition"),
            ("Call-ID", "sip_call_id"),
        ],
    ),
    (
        "recordings.csv",
        "录音",
        "recording",
        &[
            ("通话 call", "call"),
            ("状态 state", "state"),
            ("开始 started", "started_ms"),
            ("时长毫秒 milliseconds", "duration_ms"),
            ("空白 gaps", "gaps"),
            ("WAV SHA-256", "digest"),
            ("tape SHA-256", "tape_digest"),
            ("说明 reason", "reason"),
        ],
    ),
    (
        "derived.csv",
        "脱敏件",
        "derived",
        &[
            ("编号 id", "id"),
            ("通话 call", "call"),
            ("原件 SHA-256 original", "original"),
            ("脱敏件 SHA-256", "digest"),
            ("静音起毫秒 from", "from_ms"),
            ("静音止毫秒 to", "to_ms"),
            ("声道 side", "side"),
            ("理由 reason", "reason"),
            ("制作人 by", "actor"),
            ("制作时间 at", "at_ms"),
        ],
    ),
    (
        "outages.csv",
        "中断",
        "outage",
        &[
            ("种类 kind", "kind"),
            ("号码 number", "number"),
            ("起 from", "from_ms"),
            ("止 to", "to_ms"),
            ("代码 status", "status"),
            ("原因 why", "why"),
        ],
    ),
    (
        "audit.csv",
        "审计",
        "audit",
        &[
            ("时间 at", "at_ms"),
            ("人员 actor", "actor"),
            ("终端 terminal", "terminal"),
            ("动作 action", "action"),
            ("对象 object", "object"),
            ("说明 detail", "detail"),
        ],
    ),
];

/// Each that has rows.
pub fn all(rows: &[Proven]) -> Vec<Table> {
    let mut tables = vec![];
    for (file, sheet, kind, columns) in TABLES {
        let cells = |row: &Proven| {
            columns.iter().map(|(_, column)| shown(column, row.get(column))).collect()
        };
        let lines: Vec<_> = rows.iter().filter(|row| row.kind == *kind).map(cells).collect();
        if !lines.is_empty() {
            let head = columns.iter().map(|(heading, _)| *heading).collect();
            tables.push(Table { file, sheet, head, lines });
        }
    }
    tables
}

impl Table {
    pub fn csv(&self) -> String {
        // A spreadsheet knows UTF-8 by the mark at its beginning.
        let mut text = "\u{feff}".to_owned();
        line(self.head.iter().copied(), &mut text);
        for cells in &self.lines {
            line(cells.iter().map(String::as_str), &mut text);
        }
        text
    }
}

fn shown(column: &str, cell: Option<&Cell>) -> String {
    match cell {
        Some(Cell::Text(text)) => text.clone(),
        Some(Cell::Integer(ms)) if column != "duration_ms" && column.ends_with("_ms") => {
            let at = DateTime::from_timestamp_millis(*ms).unwrap_or_default();
            at.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
        }
        Some(Cell::Integer(number)) => number.to_string(),
        Some(Cell::Blob { blob }) => blob.clone(),
        Some(Cell::Real { real }) => f64::from_bits(*real).to_string(),
        Some(Cell::None(())) | None => String::new(),
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, text: &mut String) {
    let cells: Vec<String> = cells.map(safe).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// In quotation marks, and behind an apostrophe where a spreadsheet would take it for a formula.
pub fn safe(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}
