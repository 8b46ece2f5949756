//! Who calls, chosen from what the INVITE claims: what goes into the entry and onto the officer's
//! phone.

use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Chosen, Urgency};
use crate::duty::numbers::{self, Kind, Number, Numbering};
use crate::protocol::sip::claims::{Claim, ClaimHeader, Claims};
use crate::protocol::sip::{Identity, Incoming};

/// The officer's phone shows one short line.
const SHOWN_CHARS: usize = 48;
/// Longest name kept beside the raw header.
const NAME_CHARS: usize = 200;

/// The rules of the site by which callers are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerRules {
    pub numbering: Numbering,
    pub units: Vec<Unit>,
    /// What an INVITE with `Priority: emergency` is flagged as (RFC 3261 §20.26).
    pub emergency: Option<Urgency>,
}

/// Whoever calls from a number that begins so belongs to this unit (总机号段).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub name: String,
    /// First digits, of a number of our own town with or without its area code.
    pub prefixes: Vec<String>,
}

impl CallerRules {
    /// The unit with the longest prefix that fits.
    pub fn unit(&self, plain: &str) -> &str {
        let local = plain.strip_prefix(self.numbering.area_code.as_str()).unwrap_or(plain);
        let fits = |prefix: &&String| {
            [plain, local].iter().any(|it| it.len() > prefix.len() && it.starts_with(*prefix))
        };
        let longest = |unit: &Unit| unit.prefixes.iter().filter(fits).map(String::len).max();
        let best = self.units.iter().filter_map(|unit| Some((longest(unit)?, unit)));
        best.max_by_key(|(length, _)| *length).map_or("", |(_, unit)| &unit.name)
    }
}

impl Arrival {
    /// The number is taken from P-Asserted-Identity, a screened Remote-Party-ID, From, in this
    /// order, the first that has one (RFC 3325 §9.1; nothing else is vouched for by the PBX).
    pub fn of(call: CallId, invite: &Incoming, rules: &CallerRules) -> Self {
        let claims = &invite.claims;
        let candidates = candidates(claims);
        let read =
            |claim: &Claim| rules.numbering.of(&claim.identity.user, &claim.identity.context);
        let usable = |claim: &&Claim| !is_withheld(&claim.identity);
        let best = candidates.iter().copied().filter(usable).max_by_key(|claim| {
            // Of two asserted identities the one with a number; of equals the first.
            let place = place(claims, claim);
            (rank(claim.header), read(claim).kind != Kind::None, std::cmp::Reverse(place))
        });
        let from = claims.from();
        let (chosen, identity) = match best {
            Some(claim) => {
                (Chosen { header: claim.header, place: place(claims, claim) }, &claim.identity)
            }
            None => (Chosen { header: ClaimHeader::From, place: 0 }, &from),
        };
        let number = best.map_or(Number { plain: String::new(), kind: Kind::None }, read);
        let display = if identity.display.is_empty() { &from.display } else { &identity.display };
        let dialled =
            if invite.request_user.is_empty() { &invite.to.user } else { &invite.request_user };
        Self {
            sip_call_id: invite.call_id.clone(),
            caller: best.map_or_else(String::new, |claim| shown_number(&claim.identity, &number)),
            unit: rules.unit(&number.plain).to_owned(),
            town: numbers::region(&number.plain).unwrap_or_default().to_owned(),
            plain: number.plain,
            display: display.chars().take(NAME_CHARS).collect(),
            chosen,
            vouched: best.is_some() && chosen.header != ClaimHeader::From,
            private: claims.wants_privacy(),
            diverted: claims.diversions(),
            urgency: rules.emergency.filter(|_| claims.is_emergency()),
            claims: claims.clone(),
            callee: dialled.clone(),
            source: invite.source.addr.to_string(),
            fault: invite.fault.as_ref().map(|fault| fault.why.clone()),
            ..Self::from_number(call, "", "")
        }
    }

    /// A call of which no more is known than the number and the name that its From claims.
    pub fn from_number(call: CallId, number: &str, display: &str) -> Self {
        let identity = Identity {
            user: number.to_owned(),
            display: display.to_owned(),
            raw: number.as_bytes().to_vec(),
            ..Identity::default()
        };
        Self {
            call,
            sip_call_id: String::new(),
            caller: number.to_owned(),
            plain: Numbering::default().of(number, "").plain,
            display: display.to_owned(),
            chosen: Chosen { header: ClaimHeader::From, place: 0 },
            vouched: false,
            private: false,
            diverted: vec![],
            unit: String::new(),
            town: String::new(),
            urgency: None,
            claims: Claims(vec![Claim { header: ClaimHeader::From, identity }]),
            callee: String::new(),
            called: String::new(),
            source: String::new(),
            fault: None,
            test: false,
        }
    }

    /// What the officer's phone shows, without what a header or a phone could trip over. May be
    /// empty.
    pub fn shown(&self) -> String {
        let name = Some(&self.display).filter(|display| **display != self.caller);
        let parts = [Some(&self.called), Some(&self.caller), name].into_iter().flatten();
        let both = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
        let harmless = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>');
        both.trim().chars().filter(harmless).take(SHOWN_CHARS).collect()
    }
}

fn candidates(claims: &Claims) -> Vec<&Claim> {
    let asserted = claims.of(ClaimHeader::PAssertedIdentity);
    asserted.chain(claims.screened()).chain(claims.of(ClaimHeader::From).take(1)).collect()
}

fn place(claims: &Claims, claim: &Claim) -> usize {
    claims.0.iter().position(|other| std::ptr::eq(other, claim)).unwrap_or(0)
}

fn rank(header: ClaimHeader) -> u8 {
    match header {
        ClaimHeader::PAssertedIdentity => 2,
        ClaimHeader::RemotePartyId => 1,
        ClaimHeader::From
        | ClaimHeader::PPreferredIdentity
        | ClaimHeader::Diversion
        | ClaimHeader::HistoryInfo
        | ClaimHeader::Privacy
        | ClaimHeader::Priority
        | ClaimHeader::ResourcePriority => 0,
    }
}

/// A number of the plan in its plain form; anything else as the caller's side wrote it.
fn shown_number(identity: &Identity, number: &Number) -> String {
    match number.kind {
        Kind::Mobile
        | Kind::Landline
        | Kind::Local
        | Kind::Service
        | Kind::Extension
        | Kind::International => number.plain.clone(),
        Kind::Code | Kind::Other | Kind::None => identity.user.chars().take(NAME_CHARS).collect(),
    }
}

/// No user part, or a word for a withheld number (RFC 3323 §4.1.1.3 and habits).
fn is_withheld(identity: &Identity) -> bool {
    let withheld = ["", "anonymous", "restricted", "unavailable", "unknown", "withheld"];
    withheld.iter().any(|word| identity.user.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::message::identity;
    use crate::protocol::sip::{AorId, Peer, Transport};
    use uuid::Uuid;

    fn rules() -> CallerRules {
        let unit = |name: &str, prefixes: &[&str]| Unit {
            name: name.to_owned(),
            prefixes: prefixes.iter().map(|&prefix| prefix.to_owned()).collect(),
        };
        CallerRules {
            numbering: Numbering {
                area_code: "010".to_owned(),
                outside_prefixes: vec!["9".to_owned()],
                ..Numbering::default()
            },
            units: vec![
                unit("市燃气集团", &["6300", "80"]),
                unit("市燃气集团调度", &["63005"]),
                unit("深圳值班室", &["07558234"]),
            ],
            emergency: Some(Urgency::Urgent),
        }
    }

    fn arrival(headers: &[(ClaimHeader, &str)]) -> Arrival {
        let claim = |(header, value): &(ClaimHeader, &str)| Claim {
            header: *header,
            identity: identity(value.as_bytes()),
        };
        let source = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        let invite = Incoming {
            aor: AorId::default(),
            call_id: "c".to_owned(),
            request_user: "8000".to_owned(),
            claims: Claims(headers.iter().map(claim).collect()),
            to: identity(b"<sip:duty@a>"),
            sdp: None,
            source,
            replaces: None,
            phone: None,
            fault: None,
        };
        Arrival::of(CallId(Uuid::nil()), &invite, &rules())
    }

    use ClaimHeader::{From, PAssertedIdentity, PPreferredIdentity, Priority, RemotePartyId};

    #[test]
    fn rec_s8_the_asserted_number_comes_first_where_there_is_one() {
        let anonymous = (From, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
        let asserted =
            arrival(&[anonymous, (PAssertedIdentity, "\"张三\" <sip:+8613800138000@ims>")]);
        assert_eq!((asserted.caller.as_str(), asserted.vouched), ("13800138000", true));
        assert_eq!(asserted.shown(), "13800138000 张三");
        assert_eq!(asserted.callee, "8000");
        assert_eq!(asserted.chosen, Chosen { header: PAssertedIdentity, place: 1 });
        let withheld = arrival(&[anonymous, (PAssertedIdentity, "<sip:Restricted@ims>")]);
        assert_eq!((withheld.caller.as_str(), withheld.display.as_str()), ("", "Anonymous"));
        assert!(!withheld.vouched);
    }

    #[test]
    fn rec_s8_of_two_asserted_identities_the_one_with_a_number_is_shown() {
        let pair = [
            (From, "<sip:110@p>"),
            (PAssertedIdentity, "\"王\" <sip:wang@ims>"),
            (PAssertedIdentity, "<tel:+86-755-8234-5678>"),
        ];
        let found = arrival(&pair);
        assert_eq!(found.caller, "075582345678");
        assert_eq!((found.town.as_str(), found.unit.as_str()), ("深圳", "深圳值班室"));
        assert_eq!(found.chosen.place, 2);
    }

    #[test]
    fn rec_s8_a_fake_from_is_not_vouched_for_and_a_wish_is_not_believed() {
        let fake = arrival(&[(From, "<sip:110@p>"), (PPreferredIdentity, "<sip:119@p>")]);
        assert_eq!((fake.caller.as_str(), fake.vouched), ("110", false));
        let screened = arrival(&[
            (From, "<sip:110@p>"),
            (RemotePartyId, "<sip:13900000000@p>;screen=no"),
            (RemotePartyId, "<sip:13800138000@p>;party=calling;screen=yes"),
        ]);
        assert_eq!((screened.caller.as_str(), screened.vouched), ("13800138000", true));
        assert_eq!(screened.chosen, Chosen { header: RemotePartyId, place: 2 });
    }

    #[test]
    fn a_unit_is_known_by_the_longest_prefix_of_its_switchboard() {
        for (number, unit) in [
            ("63001234", "市燃气集团"),
            ("+861063005678", "市燃气集团调度"),
            ("8012", "市燃气集团"),
            ("6300", ""),
            ("13800138000", ""),
        ] {
            let found = arrival(&[(From, &format!("<sip:{number}@p>"))]);
            assert_eq!(found.unit, unit, "{number}");
        }
    }

    #[test]
    fn priority_raises_the_flag_where_the_site_says_so() {
        let emergency = [(From, "<sip:1@p>"), (Priority, "emergency")];
        assert_eq!(arrival(&emergency).urgency, Some(Urgency::Urgent));
        assert_eq!(arrival(&emergency[..1]).urgency, None);
    }

    #[test]
    fn a_hostile_name_is_one_short_harmless_line() {
        let name = format!("\"<script>\\\"\\\\Evil: 1{}\" <sip:101@p>", "长".repeat(300));
        let shown = arrival(&[(From, &name)]);
        assert!(shown.shown().starts_with("101 scriptEvil: 1长"), "{}", shown.shown());
        assert_eq!(shown.shown().chars().count(), SHOWN_CHARS);
        assert_eq!(shown.display.chars().count(), NAME_CHARS);
    }
}
