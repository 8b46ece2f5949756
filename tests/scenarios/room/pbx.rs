//! The PBX of the room: the demo's, with every phone of the room as a user.

use super::people::{self, DESK, DOMAIN, EXTENSIONS, LINE, MOST_CALLERS, PASSWORD, SIP_PORT, TIPS};
use dutyline::demo::pbx::{Algorithm, Pbx, Plan, User};
use dutyline::protocol::random::Random;
use std::net::SocketAddr;

/// The PBX at this one of its addresses.
pub fn build(address: SocketAddr, algorithm: Algorithm, random: Random) -> Pbx {
    let user = |stand_in: Option<&str>| User {
        password: PASSWORD.to_owned(),
        stand_in: stand_in.map(str::to_owned),
    };
    let extensions = EXTENSIONS.iter().map(|(number, _)| ((*number).to_owned(), user(None)));
    let mut users: std::collections::BTreeMap<_, _> = extensions.collect();
    users.insert(LINE.to_owned(), user(Some(DESK)));
    users.insert(TIPS.to_owned(), user(None));
    let callers = 1..=MOST_CALLERS;
    let plan = Plan {
        address,
        domain: DOMAIN.to_owned(),
        algorithm,
        longest: 90,
        users,
        trusted: callers.map(|n| SocketAddr::new(people::caller_host(n), SIP_PORT)).collect(),
    };
    Pbx::new(plan, random)
}
