//! A diverted call and what was said on the wire in it.

use super::{looks_right, sign_in, signed_in};
use crate::browser::Browser;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Arrival, Fact};
use dutyline::duty::ladder::{Traced, Way, What};
use dutyline::io::clock;
use dutyline::protocol::now::Now;
use dutyline::protocol::sip::claims::{ClaimHeader, Diverted, DivertedWhy};
use dutyline::protocol::sip::{Identity, Peer, Transport};
use std::time::Duration;

/// What was said on the wire in an evening's call, so many milliseconds after its INVITE.
const SAID: [(u64, Way, &str, &str); 17] = [
    (0, Way::In, "", "INVITE sip:1001@10.0.0.5"),
    (1, Way::Out, "", "100 Trying"),
    (12, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (15, Way::In, "2001", "407 Proxy Authentication Required"),
    (16, Way::Out, "2001", "ACK sip:2001@pbx"),
    (16, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (518, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (530, Way::In, "2001", "180 Ringing"),
    (531, Way::Out, "", "180 Ringing"),
    (20_540, Way::Out, "2001", "CANCEL sip:2001@pbx"),
    (20_548, Way::In, "2001", "487 Request Terminated"),
    (20_551, Way::Out, "2002", "INVITE sip:2002@pbx"),
    (20_590, Way::In, "2002", "180 Ringing"),
    (24_100, Way::In, "2002", "200 OK"),
    (24_101, Way::Out, "2002", "ACK sip:2002@pbx"),
    (24_102, Way::Out, "", "200 OK"),
    (24_110, Way::In, "", "ACK sip:1001@10.0.0.5"),
];

fn said(call: CallId, began: Now) -> Vec<Traced> {
    let peer = Peer { transport: Transport::Udp, addr: "192.168.10.1:5060".parse().unwrap() };
    let message = |&(ms, way, leg, first): &(u64, Way, &str, &str)| {
        let request = !first.starts_with(|c: char| c.is_ascii_digit());
        let line = if request { format!("{first} SIP/2.0") } else { format!("SIP/2.0 {first}") };
        let method = if request { first.split(' ').next().unwrap() } else { "INVITE" };
        let sdp = first.starts_with("INVITE") || first.starts_with("200");
        let body = if sdp {
            "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.168.10.1\r\ns=-\r\n\
             c=IN IP4 192.168.10.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n"
        } else {
            "Content-Length: 0\r\n\r\n"
        };
        let text = format!(
            "{line}\r\nVia: SIP/2.0/UDP 192.168.10.1:5060;branch=z9hG4bK{leg}{method}\r\n\
             From: \"王主任\" <sip:+8613800130007@ims.example;user=phone>;tag=f\r\n\
             To: <sip:1001@192.168.10.1>\r\nCall-ID: {leg}-4711@pbx\r\nCSeq: 1 {method}\r\n\
             Diversion: \"总机\" <sip:63001000@192.168.10.1>;reason=no-answer\r\n{body}"
        );
        let what = What::Message { way, peer, leg: leg.to_owned(), bytes: text.into_bytes() };
        Traced { call, at: began + Duration::from_millis(ms), what }
    };
    SAID.iter().map(message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_s8_rec_s11_a_diverted_call_and_its_ladder_as_the_officer_sees_them() {
    let Some((room, browser)) = signed_in().await else { return };
    let began = clock::now();
    let call = CallId::new(began, &mut clock::random());
    let mut arrival = Arrival::from_number(call, "13800130007", "王主任");
    let by = |user: &str, display: &str, why| Diverted {
        by: Identity { user: user.into(), display: display.into(), ..Identity::default() },
        header: ClaimHeader::Diversion,
        why,
    };
    arrival.diverted = vec![
        by("63001000", "总机", DivertedWhy::NoAnswer),
        by("63005678", "", DivertedWhy::Unconditional),
    ];
    room.happens(Fact::Arrived(Box::new(arrival))).await;
    browser.see_text(".ring-way", "未核实 · 经 63001000 总机、63005678 转移").await;
    browser.see_text(".entry-way", "来自 13800130007，经 63001000 总机（无应答）").await;
    browser.shot("13-diverted-rings").await;
    let mut steps = said(call, began);
    let lost =
        Traced { call, at: began + Duration::from_millis(24_105), what: What::Lost { count: 2 } };
    steps.insert(16, lost);
    assert_eq!(room.store.trace(steps).await.expect("written"), [EntryId::from(call)]);
    room.officer_answers(call).await;
    browser.see_text("[data-part=ladder] summary", "17 条").await;
    browser.click("[data-part=ladder] summary").await;
    browser.see("[data-part=ladder] svg.ladder").await;
    browser.click("[data-part=claims] summary").await;
    let down = "document.querySelector('[data-part=ladder]').scrollIntoView()";
    browser.script(down).await;
    browser.shot("14-ladder-in-the-entry").await;
    looks_right(&browser).await;

    browser.goto(&format!("{}/entries/{call}/ladder", room.url)).await;
    browser.see_text(".choose", "点击").await;
    browser.click("svg.ladder a:nth-of-type(4) .time").await;
    browser.see_text("#m4", "407 Proxy Authentication Required").await;
    browser.see_text("#m4 pre", "Diversion: \"总机\" <sip:63001000").await;
    let shown = "return [...document.querySelectorAll('.spoken')]\
                 .filter(one => getComputedStyle(one).display !== 'none').length";
    assert_eq!(browser.script(shown).await, 1);
    assert_eq!(browser.script("return document.scripts.length").await, 0, "no script is needed");
    browser.shot("15-ladder-and-a-message").await;
    browser.end().await;

    let browser = Browser::start_with(&["--force-dark-mode"]).await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/entries/{call}/ladder#m1", room.url)).await;
    browser.see("#m1").await;
    browser.shot("16-ladder-dark").await;
    browser.end().await;
}
