//! Numbers and addresses that are right by themselves and make no sense together: calls that would come back to the daemon.

use super::faults::{Say, say};
use super::reader::{Reader, Section};
use super::{Line, OtherNumber, PbxAddress};
use crate::duty::line_plan::Phone;
use crate::duty::roster::Roster;
use std::net::IpAddr;
use std::ops::Range;

/// A number that is dialled, without its scheme, at its host.
type Dialled<'a> = (&'a str, &'a str);

/// The PBX is somebody else; whoever is rung is neither the duty number itself nor rung twice.
pub fn of_the_numbers(
    reader: &Reader,
    root: &mut Section<'_>,
    (line, numbers): (&Line, &[OtherNumber]),
    (phones, roster): (&[Phone], &Roster),
) {
    if line.pbx.iter().any(|pbx| is_own(pbx, line)) {
        let fault = say(
            "这是本机自己的地址和端口（line.listen）；请写交换机的地址",
            "this is the daemon's own address and port (line.listen): write the PBX's",
        );
        reader.fault(place(root, "line", None, "pbx"), "line.pbx", fault);
    }
    let dialled = |text| dialled(text, &line.domain);
    let others = numbers.iter().map(|one| &one.aor);
    let others = others.flat_map(|aor| [aor.user.as_str(), &aor.number]);
    let own: Vec<_> = [line.user.as_str(), &line.number].into_iter().chain(others).collect();
    let is_duty = |number| own.iter().any(|own| dialled(own) == dialled(number));
    for (at, phone) in phones.iter().enumerate() {
        let mut earlier = phones.iter().take(at);
        let twin = earlier.find(|other| dialled(&other.target) == dialled(&phone.target));
        let warning = match twin {
            _ if is_duty(&phone.target) => comes_back(&phone.target),
            Some(twin) => say(
                format!("和“{}”是同一部话机，会响两次；删去一节，或改 target", twin.name),
                format!(
                    "the same telephone as {}, rung twice: remove one, or change its target",
                    twin.name
                ),
            ),
            None => continue,
        };
        let place = place(root, "phones", Some(at), "target");
        reader.warn(place, format!("phones[{at}].target"), warning);
    }
    for (at, person) in roster.people.iter().enumerate() {
        for (key, number) in [("mobile", &person.mobile), ("office", &person.office)] {
            let Some(number) = number else { continue };
            let desk = phones.iter().find(|phone| dialled(&phone.target) == dialled(number));
            let warning = match desk {
                _ if is_duty(number) => comes_back(number),
                Some(desk) => say(
                    format!(
                        "这是值班员的“{}”，呼叫领导时响的是值班室；请写{}本人的号码",
                        desk.name, person.name
                    ),
                    format!(
                        "the officer's {}: in place of {} the duty room would ring; write a number of his own",
                        desk.name, person.name
                    ),
                ),
                None => continue,
            };
            let place = place(root, "leaders", Some(at), key);
            reader.warn(place, format!("leaders[{at}].{key}"), warning);
        }
    }
}

fn comes_back(number: &str) -> Say {
    say(
        format!("{number} 是值班号码或本机自己的分机，拨它又回到本机，没有人会接；请写真正的话机"),
        format!(
            "{number} is the duty number or its extension: a call there comes back to the daemon and nobody answers; write a real telephone"
        ),
    )
}

fn is_own(pbx: &PbxAddress, line: &Line) -> bool {
    let own: &[IpAddr] = &[line.listen.ip(), line.advertise];
    match pbx {
        PbxAddress::At(pbx) => pbx.port() == line.listen.port() && own.contains(&pbx.ip()),
        PbxAddress::Named { .. } => false,
    }
}

fn dialled<'a>(text: &'a str, domain: &'a str) -> Dialled<'a> {
    let text = text.strip_prefix("sip:").or_else(|| text.strip_prefix("tel:")).unwrap_or(text);
    let text = text.split(';').next().unwrap_or(text);
    text.split_once('@').unwrap_or((text, domain))
}

/// Where a value of a section stands; `at`: of which of several.
fn place(
    root: &mut Section<'_>,
    section: &'static str,
    at: Option<usize>,
    key: &str,
) -> Option<Range<usize>> {
    let section = root.get(section)?.value;
    let table = match at {
        Some(at) => section.as_array()?.get(at)?.get_ref(),
        None => section,
    };
    Some(table.as_table()?.get(key)?.span())
}
