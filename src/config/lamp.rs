//! `[lamp]`: leaders whose telephone in the office shows that something waits for them.

use super::faults::say;
use super::reader::{Reader, Section, list};
use crate::duty::roster::{Role, Roster};

/// None unless they are given.
pub fn roles(reader: &Reader, mut s: Section<'_>, roster: &Roster) -> Vec<Role> {
    let roles = s.or("roles", vec![], list(super::leaders::role));
    for role in &roles {
        if roster.holder(*role).is_none_or(|person| person.office.is_none()) {
            let fault = say(
                "这个角色没有人，或没有办公电话：在 [[leaders]] 里写 office = \"3002\"",
                "nobody holds this role, or he has no telephone in his office: write office = \"3002\" in [[leaders]]",
            );
            let place = s.get("roles").map(|given| given.place);
            reader.fault(place, s.field("roles"), fault);
        }
    }
    s.close();
    roles
}
