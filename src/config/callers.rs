//! How callers are known: the site's numbering, the units behind its prefixes, the contacts.

use super::Contact;
use super::faults::{Say, say};
use super::reader::{self, Reader, Section, list, number, text};
use super::values::one_of;
use crate::duty::call::arrival::{CallerRules, Unit};
use crate::duty::journal::Urgency;
use crate::duty::numbers::{Kind, Numbering};
use toml::de::DeValue;

/// `[callers]` and `[[callers.units]]`.
pub fn rules(mut s: Section<'_>) -> CallerRules {
    let standard = Numbering::default();
    let area_code = s.or("area_code", String::new(), area_code);
    let town = if area_code.len() == 3 { vec![8] } else { standard.local_digits };
    let numbering = Numbering {
        local_digits: s.or("local_digits", town, lengths),
        outside_prefixes: s.or("outside_prefixes", vec![], list(digits)),
        extension_digits: s.or("extension_digits", standard.extension_digits, lengths),
        short_codes: s.or("short_codes", vec![], list(digits)),
        area_code,
    };
    let flags =
        [("off", None), ("urgent", Some(Urgency::Urgent)), ("critical", Some(Urgency::Critical))];
    let emergency = s.or("emergency_priority", None, |value| one_of(value, &flags));
    let units = s.each("units").into_iter().filter_map(unit).collect();
    s.close();
    CallerRules { numbering, units, emergency }
}

fn unit(mut s: Section<'_>) -> Option<Unit> {
    let name = s.required("name", "\"市燃气集团\"", text);
    let prefixes = s.required("prefixes", "[\"6300\"]", list(prefix));
    s.close();
    Some(Unit { name: name?, prefixes: prefixes? })
}

/// `[[contacts]]`: a number that no caller can have is refused, for it would never be recognised.
pub fn contact(reader: &Reader, mut s: Section<'_>, numbering: &Numbering) -> Option<Contact> {
    let name = s.required("name", "\"张三\"", text);
    let unit = s.or("unit", String::new(), reader::any_text);
    let duty = s.or("duty", String::new(), reader::any_text);
    let numbers = s.required("numbers", "[\"13800000000\"]", list(text));
    let given = s.get("numbers");
    for number in numbers.iter().flatten() {
        let read = numbering.read(number);
        let (Kind::None | Kind::Other | Kind::Code) = read.kind else { continue };
        let (Some(given), shown) = (&given, number.escape_debug()) else { continue };
        let fault = say(
            format!(
                "“{shown}”不是完整的号码，来电时认不出。写 11 位手机号、带区号的固定电话（0755-82345678）、分机号或短号；分机或本地号码位数特殊时，改 [callers] 的 extension_digits、local_digits、short_codes"
            ),
            format!(
                "\"{shown}\" is no whole number and would never be recognised; write a mobile of 11 digits, a landline with its area code (0755-82345678), an extension or a short number. For unusual lengths set extension_digits, local_digits or short_codes in [callers]"
            ),
        );
        reader.fault(Some(given.place.clone()), &given.field, fault);
    }
    s.close();
    Some(Contact { name: name?, unit, duty, numbers: numbers? })
}

fn area_code(value: &DeValue<'_>) -> Result<String, Say> {
    let code = reader::any_text(value)?;
    let fits = code.is_empty()
        || (3..=4).contains(&code.len())
            && code.starts_with('0')
            && code.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        return Ok(code);
    }
    Err(say(
        "区号要带 0，共 3 或 4 位。例：\"010\"、\"0755\"",
        "an area code has its 0 and 3 or 4 digits, such as \"010\" or \"0755\"",
    ))
}

fn digits(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    if text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(say("只写数字，最多 8 位。例：\"9\"", "digits only, 8 at most, such as \"9\""))
}

fn prefix(value: &DeValue<'_>) -> Result<String, Say> {
    let text: String = text(value)?.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if (2..=11).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    Err(say(
        "号段是号码开头的 2 到 11 位数字。例：\"6300\"",
        "a prefix is the first 2 to 11 digits of the numbers, such as \"6300\"",
    ))
}

fn lengths(value: &DeValue<'_>) -> Result<Vec<usize>, Say> {
    let length = |value: &DeValue<'_>| {
        number(2..=11)(value).map(|length| usize::try_from(length).unwrap_or(11))
    };
    list(length)(value)
}
