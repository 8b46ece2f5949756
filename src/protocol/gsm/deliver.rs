//! A short message that came (SMS-DELIVER, TS 23.040 §9.2.2.1): who sent it, when, its text or one
//! part of it.

use super::alphabet::unpack;
use super::{HEADER, octets};
use chrono::{DateTime, FixedOffset, NaiveDate, Utc};

/// Digits of an address (§9.1.2.5).
const DIGITS: usize = 20;
/// A name in letters instead of a number.
const LETTERS: u8 = 0x50;
const KIND: u8 = 0x70;
const INTERNATIONAL: u8 = 0x10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Digits, after + where it is international; in quotation marks where a name was given, so that none is a number.
    pub from: String,
    /// When the service centre took it; none where that is no moment.
    pub sent: Option<DateTime<Utc>>,
    /// Empty for what is no text.
    pub text: String,
    pub part: Option<Part>,
}

/// One of several that are one text (§9.2.3.24.1, §9.2.3.24.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub reference: u16,
    pub of: u8,
    /// From 1.
    pub nth: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Septets,
    Ucs2,
    Data,
}

impl Delivered {
    /// As a modem hands it on: `None` for anything else.
    pub fn read(hex: &str) -> Option<Self> {
        let octets = octets(hex)?;
        let (centre, rest) = octets.split_first()?;
        let (&first, rest) = rest.get(usize::from(*centre)..)?.split_first()?;
        if first & 0x03 != 0 {
            return None;
        }
        let (&digits, rest) = rest.split_first()?;
        let (&kind, rest) = rest.split_first()?;
        let digits = Some(usize::from(digits)).filter(|digits| *digits <= DIGITS)?;
        let (address, rest) = rest.split_at_checked(digits.div_ceil(2))?;
        let from = sender(kind, address, digits);
        let &[_protocol, coding, ref rest @ ..] = rest else { return None };
        let (stamp, rest) = rest.split_first_chunk::<7>()?;
        let (&length, user_data) = rest.split_first()?;
        let (header, text) =
            data(first & HEADER != 0, coding_of(coding)?, usize::from(length), user_data)?;
        Some(Self { from, sent: moment(stamp), text, part: part(header) })
    }
}

fn sender(kind: u8, address: &[u8], digits: usize) -> String {
    if kind & KIND == LETTERS {
        return format!("\"{}\"", unpack(address, 0, digits * 4 / 7));
    }
    let halves = address.iter().flat_map(|octet| [octet & 0xf, octet >> 4]);
    let digits = halves.take(digits).take_while(|half| *half != 0xf);
    let digits = digits.map(|half| match half {
        0xa => '*',
        0xb => '#',
        0xc..=0xe => char::from(b'a' + half - 0xc),
        digit => char::from(b'0' + digit),
    });
    let plus = (kind & KIND == INTERNATIONAL).then_some('+');
    plus.into_iter().chain(digits).collect()
}

/// TS 23.038 §4; what is compressed is not read.
fn coding_of(octet: u8) -> Option<Coding> {
    let by_bits = |bits: u8| match bits {
        0 => Coding::Septets,
        2 => Coding::Ucs2,
        _ => Coding::Data,
    };
    match octet >> 4 {
        0..=7 if octet & 0x20 != 0 => None,
        0..=7 => Some(by_bits(octet >> 2 & 3)),
        0xe => Some(Coding::Ucs2),
        0xf if octet & 4 != 0 => Some(Coding::Data),
        _ => Some(Coding::Septets),
    }
}

/// The header without its own length, and the text.
fn data(headed: bool, coding: Coding, length: usize, octets: &[u8]) -> Option<(&[u8], String)> {
    let size = if coding == Coding::Septets { (length * 7).div_ceil(8) } else { length };
    let octets = octets.get(..size)?;
    let before = if headed { 1 + usize::from(*octets.first()?) } else { 0 };
    let (header, body) = octets.split_at_checked(before)?;
    let text = match coding {
        // A header of octets ends where a septet begins.
        Coding::Septets => unpack(octets, (before * 8).div_ceil(7), length),
        Coding::Ucs2 => {
            let units = body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        Coding::Data => String::new(),
    };
    Some((header.get(1..).unwrap_or_default(), text))
}

fn part(header: &[u8]) -> Option<Part> {
    let mut rest = header;
    while let [kind, length, after @ ..] = rest {
        let (value, after) = after.split_at_checked(usize::from(*length))?;
        let (reference, of, nth) = match (kind, value) {
            (0x00, &[reference, of, nth]) => (u16::from(reference), of, nth),
            (0x08, &[high, low, of, nth]) => (u16::from_be_bytes([high, low]), of, nth),
            _ => {
                rest = after;
                continue;
            }
        };
        return (1..=of).contains(&nth).then_some(Part { reference, of, nth });
    }
    None
}

/// TP-Service-Centre-Time-Stamp (§9.2.3.11).
fn moment(stamp: &[u8; 7]) -> Option<DateTime<Utc>> {
    let number = |octet: u8| {
        let (tens, units) = (octet & 0xf, octet >> 4);
        (tens <= 9 && units <= 9).then(|| u32::from(tens) * 10 + u32::from(units))
    };
    let [year, month, day, hour, minute, second, zone] = *stamp;
    let year = 2000 + i32::try_from(number(year)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(month)?, number(day)?)?;
    let local = date.and_hms_opt(number(hour)?, number(minute)?, number(second)?)?;
    // Quarters of an hour; the sign is in the digit of the tens.
    let quarters = i32::try_from(number(zone & !0x08)?).ok()?;
    let sign = if zone & 0x08 == 0 { 1 } else { -1 };
    let zone = FixedOffset::east_opt(sign * quarters * 900)?;
    Some(local.and_local_timezone(zone).single()?.to_utc())
}

/// What is whole among what a modem keeps, with the places where it is kept; parts that wait for others are left out.
pub fn whole<P: Copy>(kept: &[(P, Delivered)]) -> Vec<(Vec<P>, Delivered)> {
    let mut whole: Vec<(Vec<P>, Delivered)> = vec![];
    for (place, one) in kept {
        let Some(part) = one.part else {
            whole.push((vec![*place], one.clone()));
            continue;
        };
        if part.nth != 1 {
            continue;
        }
        let nth = |wanted: u8| {
            kept.iter().find(|(_, other)| {
                let same = |other: Part| (other.reference, other.of) == (part.reference, part.of);
                other.from == one.from
                    && other.part.is_some_and(|other| same(other) && other.nth == wanted)
            })
        };
        let Some(parts) = (1..=part.of).map(nth).collect::<Option<Vec<_>>>() else { continue };
        let text = parts.iter().map(|(_, part)| part.text.as_str()).collect();
        let places = parts.iter().map(|(place, _)| *place).collect();
        whole.push((places, Delivered { text, part: None, ..one.clone() }));
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From +8613900000001 on 2026-11-26 at 21:30:05 in Beijing.
    fn deliver(first: u8, coding: u8, length: usize, data: &str) -> String {
        format!("00{first:02X}0D91683109000000F100{coding:02X}62116212035023{length:02X}{data}")
    }

    fn text(hex: &str) -> String {
        Delivered::read(hex).unwrap().text
    }

    #[test]
    fn esc_39_a_text_that_came_is_read_with_its_sender_and_its_time() {
        let one = Delivered::read(&deliver(0x04, 0, 1, "31")).unwrap();
        assert_eq!((one.from.as_str(), one.text.as_str(), one.part), ("+8613900000001", "1", None));
        let sent: DateTime<Utc> = "2026-11-26T13:30:05Z".parse().unwrap();
        assert_eq!(one.sent, Some(sent));
        // 收到 in UCS-2, through a service centre.
        let chinese = deliver(0x04, 8, 4, "65365230");
        let through = format!("07916831082000F5{}", &chinese[2..]);
        assert_eq!(text(&chinese), "收到");
        assert_eq!(Delivered::read(&through), Delivered::read(&chinese));
        assert_eq!(text(&deliver(0x04, 4, 2, "0102")), "", "data is no text");
        assert_eq!(text(&deliver(0x04, 0xf1, 1, "31")), "1", "shown at once, and not kept");
        assert_eq!(text(&deliver(0x04, 0xe0, 4, "65365230")), "收到", "message waiting");
        assert_eq!(Delivered::read(&deliver(0x04, 0x20, 1, "31")), None, "compressed");
    }

    #[test]
    fn esc_39_a_sender_may_be_a_name_or_a_short_number() {
        // "hello" in letters; 10086, national.
        let named = "00040AD0E8329BFD0600006211621203502301 31".replace(' ', "");
        let named = Delivered::read(&named).unwrap();
        assert_eq!(named.from, "\"hello\"");
        // The leader's number, as a name.
        let named = "000414D0B1590E0683C16030580C00006211621203502301 31".replace(' ', "");
        let named = Delivered::read(&named).unwrap();
        assert_eq!(named.from, "\"13900000001\"");
        let short =
            Delivered::read("000405A10180F600006211621203502301 31".replace(' ', "").as_str());
        assert_eq!(short.unwrap().from, "10086");
        let west = Delivered::read("000405A10180F60000621162120350080131").unwrap();
        assert_eq!(west.sent, Some("2026-11-26T21:30:05Z".parse().unwrap()), "no quarter, west");
        let never = Delivered::read("000405A10180F60000621362120350230131").unwrap();
        assert_eq!(never.sent, None, "there is no month 31");
    }

    #[test]
    fn esc_39_parts_are_one_text_in_their_order_whatever_order_they_came_in() {
        let part = |nth: u8, text: &str| {
            let header = format!("05000342 03{nth:02X}").replace(' ', "");
            Delivered::read(&deliver(0x44, 8, 6 + text.len() / 2, &format!("{header}{text}")))
                .unwrap()
        };
        let parts = [(4, part(3, "7761")), (2, part(1, "6211")), (9, part(2, "5DF2"))];
        assert_eq!(whole(&parts[..2]), [], "one is missing");
        let all = whole(&parts);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].0.as_slice(), all[0].1.text.as_str()), ([2, 9, 4].as_slice(), "我已睡"));
        // Septets after a header of 16-bit reference: they begin at a septet.
        let wide = deliver(0x44, 0, 9, "0608041234010131");
        let wide = Delivered::read(&wide).unwrap();
        assert_eq!(wide.part, Some(Part { reference: 0x1234, of: 1, nth: 1 }));
        assert_eq!(wide.text, "1");
        assert_eq!(whole(&[((), wide)]).len(), 1);
        let other = deliver(0x44, 0, 9, "0608041234010231");
        assert_eq!(Delivered::read(&other).unwrap().part, None, "there is no second of one");
    }

    #[test]
    fn esc_39_what_is_cut_off_or_of_another_kind_is_no_message() {
        let good = deliver(0x04, 8, 4, "65365230");
        for end in 0..good.len() {
            assert_eq!(Delivered::read(&good[..end]), None, "{end}");
        }
        for other in
            ["zz", "00", "FF04", &deliver(0x06, 0, 1, "31"), &deliver(0x44, 8, 4, "FF365230")]
        {
            assert_eq!(Delivered::read(other), None, "{other}");
        }
        let digits = good.replacen("0D91", "FF91", 1);
        assert_eq!(Delivered::read(&digits), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_not_and_nothing_else(
            octets in prop::collection::vec(any::<u8>(), 0..300), first in 0_u8..255
        ) {
            let hex: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
            let _ = Delivered::read(&hex);
            let _ = Delivered::read(&deliver(first & 0xfc, octets.first().copied().unwrap_or(0), octets.len() % 256, &hex));
        }
    }
}
