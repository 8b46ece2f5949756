//! Who called, through a real PBX: what Kamailio passes on is in the log as it came, and the ladder
//! of the call has both legs.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::twin::{FarEnd, TrunkCaller};

#[test]
fn rec_s8_rec_s11_a_diverted_call_through_a_real_pbx() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "+8613800130007");
    let headers = "P-Asserted-Identity: \"王主任\" <tel:+86-755-8234-5678>\r\n\
        Diversion: <sip:63005678@town>;reason=user-busy\r\n\
        Diversion: \"总机\" <sip:63001000@town>;reason=unconditional\r\n\
        Privacy: none\r\n";
    assert_eq!(caller.call_with("1001", headers), 200);
    let shown = far_end.invited();
    assert!(shown.get("from").starts_with("\"075582345678 王主任\""), "{}", shown.get("from"));
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT caller || ' ' || town FROM call"), "075582345678 深圳");
    assert_eq!(daemon.row("SELECT chosen_from || vouched FROM call"), "p_asserted_identity1");
    let way = "SELECT group_concat(value ->> 'number' || ' ' || (value ->> 'why'), ', ')
        FROM call, json_each(call.diverted)";
    assert_eq!(daemon.row(way), "63001000 unconditional, 63005678 busy");
    let raw = "SELECT CAST(raw AS TEXT) FROM claim WHERE header = 'p_asserted_identity'";
    assert_eq!(daemon.row(raw), "\"王主任\" <tel:+86-755-8234-5678>");

    // The PBX asks for the password of the line: the proof itself is not kept.
    daemon.row_is("SELECT count(DISTINCT leg) FROM sip_message", "2");
    daemon.row_is("SELECT count(*) > 0 FROM sip_message WHERE bytes LIKE 'BYE %'", "1");
    daemon.row_is("SELECT count(*) FROM sip_message WHERE bytes LIKE '%REGISTER sip:%'", "0");
    let has = |part: &str| {
        let query = format!("SELECT count(*) > 0 FROM sip_message WHERE instr(bytes, '{part}')");
        daemon.row(&query) == "1"
    };
    assert!(has("uthorization: [redacted]"));
    assert!(!has("response=\"") && !has("cnonce="));
}
