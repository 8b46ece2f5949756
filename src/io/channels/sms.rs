//! SMS by a gateway of a provider, spoken to by HTTP as a template says: providers differ, and want
//! texts that they have approved with a few short words filled in.

use super::Letter;
use super::http::{Answer, Fault, Request};
use crate::config::channels::{Gateway, To};
use crate::duty::notices::{Verdict, short_numbers};
use crate::duty::roster::{Person, Roster};
use crate::io::store::Recipient;

/// One request for each recipient; whoever holds a role now.
pub fn requests(way: &Gateway, letter: &Letter<'_>, roster: &Roster) -> Vec<Request> {
    numbers(&way.to, roster).into_iter().map(|to| request(way, letter, &to)).collect()
}

/// Each number once; of whoever holds a role, his number for short messages.
pub fn numbers(to: &[To], roster: &Roster) -> Vec<String> {
    let number = |to: &To| match to {
        To::Number(number) => Some(number.clone()),
        To::Role(role) => roster.holder(*role).and_then(|person| person.sms.clone()),
    };
    let mut numbers: Vec<String> = vec![];
    for number in to.iter().filter_map(number) {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// Whoever of them is known by name: he may answer.
pub fn people(to: &[To], roster: &Roster) -> Vec<Recipient> {
    let numbers = numbers(to, roster);
    let holders = to.iter().filter_map(|to| match to {
        To::Role(role) => roster.holder(*role).map(|person| (person, *role)),
        To::Number(number) => {
            let his = |person: &&Person| person.sms.as_ref() == Some(number);
            let person = roster.people.iter().find(his)?;
            Some((person, roster.role_of(&person.name).unwrap_or(person.role)))
        }
    });
    let mut people: Vec<Recipient> = vec![];
    for (person, role) in holders {
        let Some(number) = person.sms.clone().filter(|number| numbers.contains(number)) else {
            continue;
        };
        if people.iter().all(|one| one.number != number) {
            people.push(Recipient { number, person: person.name.clone(), role });
        }
    }
    people
}

fn request(way: &Gateway, letter: &Letter<'_>, to: &str) -> Request {
    let id = letter.name.to_string();
    let codes = letter.codes.join("、");
    filled(
        way,
        &[
            ("to", to),
            ("no", &short_numbers(letter.items)),
            ("text", &letter.text.body),
            ("id", &id),
            ("line", letter.line),
            ("code", &codes),
        ],
    )
}

/// A sentence for him who has answered, where the site's template takes one.
pub fn answer(way: &Gateway, to: &str, text: &str, id: &str) -> Option<Request> {
    let words = [("to", to), ("no", ""), ("text", text), ("id", id), ("line", ""), ("code", "")];
    way.body.contains("{text}").then(|| filled(way, &words))
}

fn filled(way: &Gateway, words: &[(&str, &str)]) -> Request {
    let secret = way.secret.as_ref().map_or("", |secret| secret.expose());
    let words = [words, &[("secret", secret)]].concat();
    let escape = Escape::of(&way.content_type);
    let body = fill(&way.body, &words, escape).into_bytes();
    let headers = way.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), fill(value, &words, Escape::None)));
    Request {
        url: way.url.clone(),
        query: vec![],
        headers: headers.collect(),
        body: Some((way.content_type.clone(), body)),
    }
}

/// How a word is written so that it stays one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    Json,
    Form,
    Xml,
    None,
}

impl Escape {
    fn of(content_type: &str) -> Self {
        match content_type {
            kind if kind.contains("json") => Self::Json,
            kind if kind.contains("urlencoded") => Self::Form,
            kind if kind.contains("xml") => Self::Xml,
            _ => Self::None,
        }
    }

    fn apply(self, word: &str) -> String {
        match self {
            Self::Json => {
                let quoted = serde_json::Value::from(word).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Form => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
                word.bytes()
                    .map(|byte| match plain(byte) {
                        true => char::from(byte).to_string(),
                        false => format!("%{byte:02X}"),
                    })
                    .collect()
            }
            Self::Xml => word.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
            Self::None => word.to_owned(),
        }
    }
}

/// Each word is put in once: what is filled in is not looked through again.
fn fill(template: &str, words: &[(&str, &str)], escape: Escape) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let word = words.iter().find(|(name, _)| {
            after[1..].strip_prefix(name).is_some_and(|after| after.starts_with('}'))
        });
        match word {
            Some((name, word)) => {
                out.push_str(&escape.apply(word));
                rest = &after[name.len() + 2..];
            }
            None => {
                out.push('{');
                rest = &after[1..];
            }
        }
    }
    out + rest
}

/// The status, and where the site says so what stands in the body.
pub fn verdict(way: &Gateway, answer: Result<Answer, Fault>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return fault.verdict(),
    };
    if let Some(fault) = answer.fault() {
        return fault;
    }
    let Some((field, wanted)) = &way.success else { return Verdict::Accepted { id: None } };
    let Some(body) = answer.json() else {
        return Verdict::Unknown { why: "no JSON in the answer".to_owned() };
    };
    let found = match body.pointer(field) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => return Verdict::Unknown { why: "no verdict in the answer".to_owned() },
    };
    match found == *wanted {
        true => Verdict::Accepted { id: None },
        false => Verdict::Retry { after: None, why: format!("answer {}", super::tame(&found)) },
    }
}

/// Of several recipients: as good as the worst, but what one of them has or may have is no failure.
pub fn together(verdicts: Vec<Verdict>) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Accepted { .. } => 0,
        Verdict::Permanent { .. } => 1,
        Verdict::Unknown { .. } => 2,
        Verdict::Retry { .. } => 3,
        Verdict::Gone { .. } => 4,
    };
    let arrived = |one: &Verdict| matches!(one, Verdict::Accepted { .. } | Verdict::Unknown { .. });
    let may_have_arrived = verdicts.iter().any(arrived);
    let none = Verdict::Permanent { why: "nobody to write to".to_owned() };
    match verdicts.into_iter().max_by_key(rank).unwrap_or(none) {
        accepted @ Verdict::Accepted { .. } => accepted,
        worst if may_have_arrived => Verdict::Unknown { why: worst.why().to_owned() },
        worst => worst,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [(&str, &str); 2] = [("to", "138\"{no}"), ("no", "记-1&2")];

    #[test]
    fn a_word_stays_a_word_whatever_the_body_is_written_in() {
        let json =
            fill(r#"{"phone":"{to}","p":{"no":"{no}"},"x":"{other}"}"#, &WORDS, Escape::Json);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["phone"], "138\"{no}", "what is filled in is not looked through");
        assert_eq!((&read["p"]["no"], &read["x"]), (&"记-1&2".into(), &"{other}".into()));
        let form = fill("mobile={to}&no={no}", &WORDS, Escape::Form);
        assert_eq!(form, "mobile=138%22%7Bno%7D&no=%E8%AE%B0-1%262");
        assert_eq!(fill("<n>{no}</n>", &WORDS, Escape::Xml), "<n>记-1&amp;2</n>");
    }

    #[test]
    fn esc_54_the_answers_own_word_decides_where_the_site_says_which() {
        let way = Gateway {
            url: String::new(),
            content_type: String::new(),
            headers: vec![],
            body: String::new(),
            secret: None,
            to: vec![],
            replies: None,
            success: Some(("/Code".to_owned(), "OK".to_owned())),
        };
        let of = |body: &str| {
            verdict(&way, Ok(Answer { status: 200, body: body.into(), ..Answer::default() }))
        };
        assert_eq!(of(r#"{"Code":"OK"}"#), Verdict::Accepted { id: None });
        let limited = of(r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL"}"#);
        assert_eq!(limited.why(), "answer isv.BUSINESS_LIMIT_CONTROL");
        assert!(matches!(of("nonsense"), Verdict::Unknown { .. }));
        assert_eq!(together(vec![limited.clone(), limited.clone()]), limited);
        let good = of(r#"{"Code":"OK"}"#);
        assert_eq!(together(vec![good.clone(), good.clone()]), good);
        let refused = Verdict::Permanent { why: "no such number".to_owned() };
        for bad in [limited, refused] {
            let mixed = together(vec![bad.clone(), good.clone()]);
            assert_eq!(mixed, Verdict::Unknown { why: bad.why().to_owned() }, "one has it");
        }
    }
}
