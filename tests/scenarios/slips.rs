//! What leaders' telephones show without ringing: that there is something, and nothing of what.

use crate::room::people::{LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Room, minutes, seconds};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Urgency;
use dutyline::duty::notices::{Channel, Kind, text};
use dutyline::duty::switchboard::Input;
use dutyline::io::store::wait;
use dutyline::protocol::sip::slip::{Reply, Says, Slip, SlipId};
use std::time::Duration;

const CALLER: &str = "13812345678";

pub fn send(room: &mut Room, target: &str, says: Says) -> Reply {
    let now = room.now();
    let daemon = room.daemon.as_mut().expect("it runs");
    let id = SlipId(daemon.slips.len() as u64);
    daemon.tell(Input::Slip(Slip { id, target: target.to_owned(), says }), now);
    let told = |room: &Room| room.daemon.as_ref().expect("it runs").slips.len();
    room.until("it is known what became of it", seconds(40), |room| told(room) > id.0 as usize);
    let (of, reply) = *room.daemon.as_ref().expect("it runs").slips.last().expect("one");
    assert_eq!(of, id);
    reply
}

fn flagged(room: &mut Room) -> EntryId {
    let entry = room.caller_dials(CALLER);
    room.officer_answers(entry);
    room.pass(seconds(5));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.officer_flags_urgent(entry);
    room.rings(LEADER, seconds(1));
    entry
}

#[test]
fn sig_message_the_leaders_telephone_shows_the_entrys_number_which_acknowledges_nothing() {
    let mut room = Room::open();
    let repeat = Some(Duration::from_secs(600));
    let (name, kind, least) = ("话机".to_owned(), Kind::SipMessage, Urgency::Urgent);
    let channel = Channel { name, kind, least, repeat, to_leader: true };
    wait(room.store.set_channels(vec![channel.clone()], room.now())).expect("it is written");
    let office = room.at(LEADER_OFFICE);
    room.posts[office].phone.shows_texts(200);
    let entry = flagged(&mut room);
    let owed = wait(room.store.next_notice(&channel, room.now())).expect("it is read");
    let owed = owed.send.expect("a notice is owed");
    let says = text(owed.what, &owed.items, "63001234").body;
    let lasts = Duration::from_secs(3600);
    // Through the PBX, which asks for the line's password.
    let reply = send(&mut room, LEADER_OFFICE, Says::Text { text: says, lasts });
    assert_eq!(reply, Reply::Status(200));
    let shown = room.phone(LEADER_OFFICE).phone.shown().to_vec();
    let number = room.view(entry).row.number;
    assert!(shown.len() == 1 && shown[0].0 == "MESSAGE", "{shown:?}");
    assert!(shown[0].1.contains(&number), "{shown:?}");
    assert!(!shown[0].1.contains(CALLER), "esc_87: nobody's number: {shown:?}");
    assert!(!room.is_acknowledged(entry), "it is not known whether anybody has looked");

    // 405 of a telephone that takes no texts; nobody is registered there; a PBX that is gone.
    let word = |text: &str| Says::Text { text: text.to_owned(), lasts };
    assert_eq!(send(&mut room, LEADER, word("急")), Reply::Status(405));
    assert_eq!(send(&mut room, "555", word("急")), Reply::Status(404));
    assert_eq!(send(&mut room, LEADER_OFFICE, Says::Waiting(true)), Reply::Status(200));
    let lamp = room.phone(LEADER_OFFICE).phone.shown().last().cloned().expect("a lamp");
    assert!(lamp.0 == "NOTIFY" && lamp.1.starts_with("Messages-Waiting: yes\r\n"), "{lamp:?}");
    room.leader_answers();
    room.leader_presses('1');
    room.pass(minutes(2));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
}
