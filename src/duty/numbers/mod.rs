//! Numbers as they are compared: one form for each subscriber, whatever prefixes, country codes and
//! hyphens a PBX, a contact list or a hand puts on it. Rules of the site and the country's plan;
//! knows no contact and no call.

mod plan;

pub use plan::region;

use plan::{is_hotline, is_landline, is_mobile, is_shortest, is_trunk_number};

/// The rules of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbering {
    /// Our own, with its 0, such as 010; empty: numbers of the town stay without one.
    pub area_code: String,
    /// How many digits a number of the town has.
    pub local_digits: Vec<usize>,
    /// Digits dialled for an outside line, which the PBX may also show before a caller's number.
    pub outside_prefixes: Vec<String>,
    /// How many digits an extension has.
    pub extension_digits: Vec<usize>,
    /// Short numbers of the site besides those of the country.
    pub short_codes: Vec<String>,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            area_code: String::new(),
            local_digits: vec![7, 8],
            outside_prefixes: vec![],
            extension_digits: vec![3, 4, 5, 6],
            short_codes: vec![],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 11 digits from 13 to 19.
    Mobile,
    /// Area code and number.
    Landline,
    /// A number of the town, whose area code nobody configured.
    Local,
    /// 110, 12345, 95598, 400…
    Service,
    Extension,
    /// With `+` and country code.
    International,
    /// With `*` or `#`: a function of the PBX.
    Code,
    /// Digits that fit no plan.
    Other,
    /// No number at all: withheld, or a name.
    None,
}

/// A number in the form in which it is compared, counted and searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Empty for [`Kind::None`].
    pub plain: String,
    pub kind: Kind,
}

impl Number {
    fn new(kind: Kind, plain: impl Into<String>) -> Self {
        Self { plain: plain.into(), kind }
    }
}

/// Prefixes of cheap long distance, dialled before the number by habit.
const CARRIERS: [&str; 6] = ["17951", "17950", "17911", "17909", "17901", "12593"];
/// Digits of the longest number (E.164) with every prefix before it.
const LONGEST: usize = 32;

impl Numbering {
    /// A number as people and PBXs write it: `tel:` and `sip:` addresses, `user=phone`, `;npdi`,
    /// `;phone-context`, hyphens, brackets, full-width digits.
    pub fn read(&self, text: &str) -> Number {
        let text = text.trim();
        let scheme = text.split_once(':').filter(|(scheme, _)| {
            ["tel", "sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        });
        let address = scheme.map_or(text, |(_, address)| address);
        let (user, params) = address.split_once(';').unwrap_or((address, ""));
        let (user, params) = match user.split_once('@') {
            Some((user, _)) => (user, ""),
            None => (user, params),
        };
        let context = params.split(['@', ';']).find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.eq_ignore_ascii_case("phone-context").then_some(value)
        });
        self.of(user, context.unwrap_or_default())
    }

    /// The number of a caller: its digits and its `phone-context` (RFC 3966 §5.1.5).
    pub fn of(&self, user: &str, context: &str) -> Number {
        let Some((mut plus, mut digits)) = undress(user) else {
            return Number::new(Kind::None, "");
        };
        if let (false, Some((true, country))) = (plus, undress(context)) {
            plus = true;
            digits = country + digits.trim_start_matches('0');
        }
        if digits.is_empty() || digits.len() > LONGEST {
            return Number::new(Kind::None, "");
        }
        if digits.contains(['*', '#']) {
            return Number::new(Kind::Code, digits);
        }
        if plus {
            return match digits.strip_prefix("86") {
                Some(home) if !home.is_empty() => self.after_country(home),
                Some(_) | None => Number::new(Kind::International, format!("+{digits}")),
            };
        }
        self.as_it_stands(&digits)
            .or_else(|| self.behind_prefix(&digits))
            .or_else(|| self.undialled(&digits))
            .unwrap_or_else(|| Number::new(Kind::Other, digits))
    }

    /// What our phones dial for a number in its plain form.
    pub fn to_dial(&self, plain: &str) -> String {
        let number = self.of(plain, "");
        let prefix = self.outside_prefixes.first().map_or("", String::as_str);
        match number.kind {
            Kind::Extension | Kind::Code | Kind::None => plain.to_owned(),
            Kind::International => format!("{prefix}00{}", plain.trim_start_matches('+')),
            Kind::Landline if !self.area_code.is_empty() => {
                let local = plain.strip_prefix(self.area_code.as_str()).unwrap_or(plain);
                format!("{prefix}{local}")
            }
            Kind::Landline | Kind::Mobile | Kind::Local | Kind::Service | Kind::Other => {
                format!("{prefix}{plain}")
            }
        }
    }

    /// Whole and right without any prefix. An extension wins over a prefix with something behind.
    fn as_it_stands(&self, digits: &str) -> Option<Number> {
        if is_shortest(digits) || self.short_codes.iter().any(|code| code == digits) {
            return Some(Number::new(Kind::Service, digits));
        }
        self.outside(digits).or_else(|| {
            let fits = self.extension_digits.contains(&digits.len());
            fits.then(|| Number::new(Kind::Extension, digits))
        })
    }

    /// Right as a number of the outside world, prefixes of this site and habits left away.
    fn outside(&self, digits: &str) -> Option<Number> {
        if is_mobile(digits) {
            return Some(Number::new(Kind::Mobile, digits));
        }
        if is_landline(digits) {
            return Some(Number::new(Kind::Landline, digits));
        }
        if self.is_local(digits) {
            return Some(self.local(digits));
        }
        if is_shortest(digits) {
            return Some(Number::new(Kind::Service, digits));
        }
        // Another town's 110: area code and short number.
        let (area, rest) = digits.split_at_checked(if digits.starts_with("01") { 3 } else { 4 })?;
        let elsewhere = plan::is_area(area) && is_shortest(rest);
        let elsewhere = elsewhere || {
            let (area, rest) = digits.split_at_checked(3)?;
            plan::is_area(area) && is_shortest(rest)
        };
        elsewhere.then(|| {
            let ours =
                digits.strip_prefix(self.area_code.as_str()).filter(|_| !self.area_code.is_empty());
            Number::new(Kind::Service, ours.filter(|rest| is_shortest(rest)).unwrap_or(digits))
        })
    }

    fn behind_prefix(&self, digits: &str) -> Option<Number> {
        let mut rests =
            self.outside_prefixes.iter().filter_map(|prefix| digits.strip_prefix(prefix.as_str()));
        rests.find_map(|rest| self.outside(rest).or_else(|| self.undialled(rest)))
    }

    /// Country codes, carrier prefixes, and a 0 that is missing or too many.
    fn undialled(&self, digits: &str) -> Option<Number> {
        if let Some(abroad) = digits.strip_prefix("00") {
            if let Some(home) = abroad.strip_prefix("86") {
                return Some(self.after_country(home));
            }
            if (7..=15).contains(&abroad.len()) && !abroad.starts_with('0') {
                return Some(Number::new(Kind::International, format!("+{abroad}")));
            }
        }
        if let Some(mobile) = digits.strip_prefix('0').filter(|rest| is_mobile(rest)) {
            return Some(Number::new(Kind::Mobile, mobile));
        }
        if let Some(home) = digits.strip_prefix("86")
            && (is_mobile(home) || is_landline(home) || is_trunk_number(home))
        {
            return Some(self.after_country(home));
        }
        for carrier in CARRIERS {
            if let Some(number) = digits.strip_prefix(carrier).and_then(|rest| self.outside(rest)) {
                return Some(number);
            }
        }
        if is_hotline(digits) {
            return Some(Number::new(Kind::Service, digits));
        }
        is_trunk_number(digits).then(|| Number::new(Kind::Landline, format!("0{digits}")))
    }

    /// What stands behind the country's 86.
    fn after_country(&self, home: &str) -> Number {
        // +86 (0)10 …: the 0 is for those who dial from inside.
        let home = home.strip_prefix('0').unwrap_or(home);
        if is_mobile(home) {
            Number::new(Kind::Mobile, home)
        } else if is_shortest(home) || is_hotline(home) {
            Number::new(Kind::Service, home)
        } else if is_trunk_number(home) {
            Number::new(Kind::Landline, format!("0{home}"))
        } else if self.is_local(home) {
            self.local(home)
        } else {
            let elsewhere = self.outside(&format!("0{home}"));
            elsewhere.unwrap_or_else(|| Number::new(Kind::Other, home))
        }
    }

    fn is_local(&self, digits: &str) -> bool {
        self.local_digits.contains(&digits.len())
            && digits.starts_with(|first: char| ('2'..='8').contains(&first))
    }

    fn local(&self, digits: &str) -> Number {
        if self.area_code.is_empty() {
            Number::new(Kind::Local, digits)
        } else {
            Number::new(Kind::Landline, format!("{}{digits}", self.area_code))
        }
    }
}

/// Whether there is a `+`, and the digits, `*` and `#`; `None` where letters say that it is no
/// number. What follows 转 or `ext` is an extension behind the number.
fn undress(text: &str) -> Option<(bool, String)> {
    let mut digits = String::new();
    let mut plus = false;
    let mut rest = text.chars().map(narrow).peekable();
    while let Some(c) = rest.next() {
        match c {
            '+' if digits.is_empty() => plus = true,
            '0'..='9' | '*' | '#' => digits.push(c),
            '转' | '轉' if !digits.is_empty() => break,
            'e' | 'E' | 'x' | 'X' if !digits.is_empty() => {
                let word: String = std::iter::once(c).chain(rest.by_ref()).collect();
                let word = word.to_ascii_lowercase();
                let after = word.strip_prefix("ext").or_else(|| word.strip_prefix('x'))?;
                let number = after.trim_start_matches(['.', ':', ' ']);
                if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
                    return None;
                }
                break;
            }
            '-' | '.' | '(' | ')' | '/' | '_' | '·' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            c if c.is_whitespace() || c.is_control() => {}
            _ => return None,
        }
    }
    Some((plus, digits))
}

/// Full-width forms to their ASCII.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests;
