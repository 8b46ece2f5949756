//! Reads a TOML document key by key and gathers every fault instead of stopping at the first.

use super::Purpose;
use super::faults::{Fault, Say, say};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Gathers the faults while sections are read.
#[derive(Debug, Default)]
pub struct Reader {
    purpose: Purpose,
    faults: RefCell<Vec<Fault>>,
    set_aside: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

/// What was found wrong with a file.
#[derive(Debug, Default)]
pub struct Found {
    pub faults: Vec<Fault>,
    /// Of versions of the policy: another one goes on.
    pub set_aside: Vec<Fault>,
    pub warnings: Vec<Fault>,
}

/// A table of the file. `None` where the file does not have it: every key is missing then.
pub struct Section<'a> {
    reader: &'a Reader,
    name: String,
    place: Range<usize>,
    table: Option<&'a DeTable<'a>>,
    known: BTreeSet<&'static str>,
    /// Faulted as a whole: its keys are not asked for.
    void: bool,
}

/// One value where it stands.
pub struct Given<'a> {
    pub field: String,
    pub place: Range<usize>,
    pub value: &'a DeValue<'a>,
}

impl Reader {
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose, ..Self::default() }
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub fn fault(&self, place: Option<Range<usize>>, field: impl Into<String>, say: Say) {
        self.faults.borrow_mut().push(Fault { place, field: field.into(), say });
    }

    pub fn warn(&self, place: Option<Range<usize>>, field: impl Into<String>, say: Say) {
        self.warnings.borrow_mut().push(Fault { place, field: field.into(), say });
    }

    /// What `read` finds at fault, apart from everything else.
    pub fn apart<T>(&self, read: impl FnOnce() -> T) -> (T, Vec<Fault>) {
        let before = self.faults.borrow().len();
        let read = read();
        (read, self.faults.borrow_mut().split_off(before))
    }

    /// Faults that stop no start.
    pub fn set_aside(&self, faults: Vec<Fault>) {
        self.set_aside.borrow_mut().extend(faults);
    }

    pub fn finish(self) -> Found {
        Found {
            faults: self.faults.into_inner(),
            set_aside: self.set_aside.into_inner(),
            warnings: self.warnings.into_inner(),
        }
    }
}

impl<'a> Section<'a> {
    pub fn root(reader: &'a Reader, document: &'a Spanned<DeTable<'a>>) -> Self {
        let end = document.span().end;
        Self::new(reader, String::new(), end..end, Some(document.get_ref()))
    }

    fn new(
        reader: &'a Reader,
        name: String,
        place: Range<usize>,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self { reader, name, place, table, known: BTreeSet::new(), void: false }
    }

    pub fn is_void(&self) -> bool {
        self.void
    }

    pub fn place(&self) -> Range<usize> {
        self.place.clone()
    }

    pub fn field(&self, key: &str) -> String {
        if self.name.is_empty() { key.into() } else { format!("{}.{key}", self.name) }
    }

    pub fn get(&mut self, key: &'static str) -> Option<Given<'a>> {
        self.known.insert(key);
        let value = self.table?.get(key)?;
        Some(Given { field: self.field(key), place: value.span(), value: value.get_ref() })
    }

    /// A table below this one.
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        let field = self.field(key);
        let Some(given) = self.get(key) else {
            return Self::new(self.reader, field, self.place(), None);
        };
        match given.value {
            DeValue::Table(table) => Self::new(self.reader, field, given.place, Some(table)),
            _ => {
                let wanted = say(
                    format!("要写成一节：[{key}]"),
                    format!("this is a section: write [{key}] on a line of its own"),
                );
                self.reader.fault(Some(given.place.clone()), &field, wanted);
                Self { void: true, ..Self::new(self.reader, field, given.place, None) }
            }
        }
    }

    /// `[[key]]`, any number of times.
    pub fn each(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(given) = self.get(key) else { return vec![] };
        let wanted = say(
            format!("每一项要写成一节：[[{key}]]"),
            format!("each one is a section: write [[{key}]] on a line of its own"),
        );
        let DeValue::Array(list) = given.value else {
            self.reader.fault(Some(given.place), given.field, wanted);
            return vec![];
        };
        let mut sections = vec![];
        for (at, item) in list.iter().enumerate() {
            let field = format!("{}[{at}]", given.field);
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(Self::new(self.reader, field, item.span(), Some(table)));
                }
                _ => self.reader.fault(Some(item.span()), field, wanted.clone()),
            }
        }
        sections
    }

    /// The value of `key`, or `None` where it is not given or faulty (the fault is noted).
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Say>,
    ) -> Option<T> {
        let given = self.get(key)?;
        match parse(given.value) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.reader.fault(Some(given.place), given.field, fault);
                None
            }
        }
    }

    pub fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Say>,
    ) -> T {
        self.optional(key, parse).unwrap_or(default)
    }

    /// The value of `key`; where it is not given that is a fault, mended as `example` shows.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, Say>,
    ) -> Option<T> {
        if self.void {
            return None;
        }
        if self.get(key).is_none() {
            let fault = say(
                format!("缺少这一项。例：{key} = {example}"),
                format!("missing; write for example: {key} = {example}"),
            );
            self.reader.fault(Some(self.place()), self.field(key), fault);
            return None;
        }
        self.optional(key, parse)
    }

    /// Faults every key that nobody asked for.
    pub fn close(self) {
        let Some(table) = self.table else { return };
        for key in table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(name) {
                continue;
            }
            let near = self.known.iter().copied().filter(|known| distance(known, name) <= 2);
            let fault = match near.min_by_key(|known| distance(known, name)) {
                Some(near) => say(
                    format!("没有这一项。是不是 {near}？"),
                    format!("there is no such key; did you mean {near}?"),
                ),
                None => {
                    let known: Vec<_> = self.known.iter().copied().collect();
                    let known = known.join(", ");
                    say(
                        format!("没有这一项，请删去。可用：{known}"),
                        format!("there is no such key, remove it; known here: {known}"),
                    )
                }
            };
            self.reader.fault(Some(key.span()), self.field(name), fault);
        }
    }
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

fn wrong_type(zh: &str, en: &str, value: &DeValue<'_>) -> Say {
    let (is_zh, is_en) = match value {
        DeValue::String(_) => ("文字", "text"),
        DeValue::Integer(_) => ("整数", "a whole number"),
        DeValue::Float(_) => ("小数", "a decimal number"),
        DeValue::Boolean(_) => ("true/false", "true/false"),
        DeValue::Datetime(_) => ("日期时间", "a date"),
        DeValue::Array(_) => ("列表", "a list"),
        DeValue::Table(_) => ("一节", "a section"),
    };
    say(format!("这里要写{zh}，现在是{is_zh}"), format!("{en} is wanted here, this is {is_en}"))
}

/// Text that is not empty.
pub fn text(value: &DeValue<'_>) -> Result<String, Say> {
    let text = any_text(value)?;
    if text.trim().is_empty() {
        return Err(say("不能为空", "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(say("不能含控制字符或换行", "must hold no control character or line break"));
    }
    Ok(text)
}

/// Text that may be empty.
pub fn any_text(value: &DeValue<'_>) -> Result<String, Say> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err(wrong_type("加引号的文字", "text in quotation marks", value)),
    }
}

pub fn boolean(value: &DeValue<'_>) -> Result<bool, Say> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        _ => Err(wrong_type(" true 或 false", "true or false", value)),
    }
}

/// A whole number between two limits, which the fault names.
pub fn number(limits: RangeInclusive<u64>) -> impl FnOnce(&DeValue<'_>) -> Result<u64, Say> {
    move |value| {
        let DeValue::Integer(integer) = value else {
            return Err(wrong_type("整数（不加引号）", "a whole number (no quotes)", value));
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|number| limits.contains(number)).ok_or_else(|| {
            let (low, high) = (limits.start(), limits.end());
            say(format!("应在 {low} 到 {high} 之间"), format!("must be between {low} and {high}"))
        })
    }
}

pub fn address(value: &DeValue<'_>) -> Result<SocketAddr, Say> {
    let text = any_text(value)?;
    let address: SocketAddr = text.parse().map_err(|_| {
        let port = text.rsplit_once(':').and_then(|(host, port)| {
            host.parse::<IpAddr>().ok()?;
            port.parse::<u64>().ok()
        });
        match port {
            Some(port) => bad_port(port),
            None => say(
                "不是“IP:端口”。例：\"192.168.10.1:5060\"、\"[fd00::1]:5060\"",
                "not an IP address with a port; write for example \"192.168.10.1:5060\" or \
                 \"[fd00::1]:5060\"",
            ),
        }
    })?;
    if address.port() == 0 { Err(bad_port(0)) } else { Ok(address) }
}

fn bad_port(port: u64) -> Say {
    say(
        format!("端口 {port} 应在 1 到 65535 之间"),
        format!("port {port} must be between 1 and 65535"),
    )
}

pub fn ip(value: &DeValue<'_>) -> Result<IpAddr, Say> {
    any_text(value)?.parse().map_err(|_| {
        say(
            "不是 IP 地址，不查域名。例：\"192.168.10.20\"",
            "not an IP address, and names are not looked up; write for example \"192.168.10.20\"",
        )
    })
}

/// A list of whatever `parse` takes.
pub fn list<T>(
    parse: impl Fn(&DeValue<'_>) -> Result<T, Say>,
) -> impl FnOnce(&DeValue<'_>) -> Result<Vec<T>, Say> {
    move |value| match value {
        DeValue::Array(items) => items.iter().map(|item| parse(item.get_ref())).collect(),
        _ => Err(wrong_type("列表，如 [\"…\"]", "a list such as [\"…\"]", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_near() {
        assert_eq!(distance("password", "pasword"), 1);
        assert_eq!(distance("user", "usre"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("room", "phones"), 5);
    }
}
