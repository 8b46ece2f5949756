//! Who is there: the officers' phones, the leaders and their numbers, the callers.

use dutyline::duty::line_plan::{Begins, Phone};
use dutyline::duty::roster::{Person, Role, Roster};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

pub const LINE: &str = "100";
/// 举报专线, where the room has a second number.
pub const TIPS: &str = "120";
pub const DESK: &str = "201";
pub const SPARE: &str = "202";
pub const LEADER: &str = "913900000001";
pub const LEADER_OFFICE: &str = "301";
pub const SUBSTITUTE: &str = "913900000002";
pub const DIRECTOR: &str = "913900000003";
pub const HEAD: &str = "913900000004";

pub const DOMAIN: &str = "duty.example";
pub const PASSWORD: &str = "五个 words: käse";

pub const DAEMON_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));
pub const PBX_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
/// The PBX's second address.
pub const STANDBY_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 3));
pub const SIP_PORT: u16 = 5060;
pub const PHONE_RTP_PORT: u16 = 4000;
/// Callers come in through addresses the PBX trusts, one each.
pub const MOST_CALLERS: u8 = 250;

/// How long each of the officers' phones rings.
pub const RING: Duration = Duration::from_secs(20);

/// The phones at the PBX and their last octet.
pub const EXTENSIONS: [(&str, u8); 7] = [
    (DESK, 11),
    (SPARE, 12),
    (LEADER, 21),
    (LEADER_OFFICE, 22),
    (SUBSTITUTE, 23),
    (DIRECTOR, 24),
    (HEAD, 25),
];

pub fn daemon() -> SocketAddr {
    SocketAddr::new(DAEMON_HOST, SIP_PORT)
}

pub fn pbx() -> SocketAddr {
    SocketAddr::new(PBX_HOST, SIP_PORT)
}

pub fn standby() -> SocketAddr {
    SocketAddr::new(STANDBY_HOST, SIP_PORT)
}

pub fn extension_host(octet: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 1, 0, octet))
}

pub fn caller_host(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 1, 1, number))
}

pub fn ring_plan() -> Vec<Phone> {
    let phone = |name: &str, target: &str| Phone {
        name: name.to_owned(),
        target: target.to_owned(),
        ring: RING,
        begins: Begins::InTurn,
        srtp: None,
    };
    vec![phone("值班台话机", DESK), phone("备用话机", SPARE)]
}

pub fn roster() -> Roster {
    let person = |name: &str, role, mobile: &str, office: Option<&str>| {
        Person::new(name, role, Some(mobile), office)
    };
    Roster {
        people: vec![
            person("张局", Role::Leader, LEADER, Some(LEADER_OFFICE)),
            person("李副局", Role::Substitute, SUBSTITUTE, None),
            person("赵主任", Role::OfficeDirector, DIRECTOR, None),
            person("周主任", Role::Head, HEAD, None),
            person("值班台话机", Role::Officer, DESK, None),
        ],
    }
}
