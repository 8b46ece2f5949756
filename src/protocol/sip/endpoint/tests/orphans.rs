//! Answers to calls of an earlier run that is dead, and that no checkpoint knows of.

use super::hostile::{sent, statuses};
use super::*;

/// A run that dials and dies at once, its INVITE, and the run after it.
fn died_dialling() -> (String, Endpoint) {
    let mut first = endpoint(account(LINE, udp(PBX)));
    let before = first.saved_registration();
    first.invite(call(), start());
    let invite = sent(&mut first).remove(0);
    let mut second = Endpoint::new(account(LINE, udp(PBX)), Random::from_seed([8; 32]));
    second.restore_registration(before);
    (invite, second)
}

fn line_of<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(name)).unwrap()
}

fn answer(invite: &str, status: u16) -> String {
    let copied = ["Via:", "From:", "Call-ID:", "CSeq:"].map(|name| line_of(invite, name));
    let to = line_of(invite, "To:");
    format!(
        "SIP/2.0 {status} x\r\n{}\r\n{to};tag=phone\r\nContact: <sip:200@{PBX}>\r\n\r\n",
        copied.join("\r\n")
    )
}

#[test]
fn sig_36_a_phone_that_rings_for_an_earlier_run_is_cancelled() {
    let (invite, mut line) = died_dialling();
    let (out, _) = ask(&mut line, &answer(&invite, 180));
    let [cancel] = &out[..] else { panic!("{out:?}") };
    let words = |text: &str| text.lines().next().unwrap().split(' ').nth(1).unwrap().to_owned();
    assert!(cancel.starts_with("CANCEL ") && words(cancel) == words(&invite), "{cancel}");
    for name in ["Via:", "From:", "To:", "Call-ID:"] {
        assert_eq!(line_of(cancel, name), line_of(&invite, name));
    }
    assert_eq!(line_of(cancel, "CSeq:"), "CSeq: 1 CANCEL");
    assert_eq!(ask(&mut line, &answer(&invite, 180)).0.len(), 0, "once");
    let ok = answer(&invite, 200).replace("1 INVITE", "1 CANCEL");
    assert_eq!(ask(&mut line, &ok), (vec![], vec![]));
    let (out, events) = ask(&mut line, &answer(&invite, 487));
    assert!(out.len() == 1 && out[0].starts_with("ACK "), "{out:?}");
    assert_eq!(line_of(&out[0], "Via:"), line_of(&invite, "Via:"));
    assert_eq!(events, []);
    let late = start() + Duration::from_secs(100);
    line.handle_timeout(late);
    assert_eq!((sent(&mut line), line.load()), (vec![], (0, 0)));
}

#[test]
fn sig_36_a_phone_that_was_picked_up_for_an_earlier_run_is_hung_up() {
    let (invite, mut line) = died_dialling();
    for (round, status) in [(1, 200), (2, 200)] {
        let (out, _) = ask(&mut line, &answer(&invite, status));
        assert!(out[0].starts_with(&format!("ACK sip:200@{PBX}")), "{out:?}");
        assert_eq!(out.len(), if round == 1 { 2 } else { 1 }, "each 200 has its ACK, one BYE");
        if round == 1 {
            assert!(out[1].starts_with("BYE ") && out[1].contains(";tag=phone\r\n"), "{out:?}");
        }
    }
}

#[test]
fn sig_36_a_phone_that_never_answers_the_cancel_is_forgotten() {
    let (invite, mut line) = died_dialling();
    ask(&mut line, &answer(&invite, 183));
    let mut now = start();
    while let Some((at, _)) = line.poll_timeout() {
        now = now + at.since(now.mono);
        line.handle_timeout(now);
        sent(&mut line);
    }
    assert_eq!(line.load(), (0, 0));
}

#[test]
fn sig_28_sig_36_nobody_can_make_us_let_go_of_what_is_not_ours() {
    let (invite, line) = died_dialling();
    let mut stranger = Endpoint::new(account(LINE, udp(PBX)), Random::from_seed([9; 32]));
    drop(line);
    let real = answer(&invite, 180);
    // Another daemon's marks: of these answers nothing is known.
    let (out, events) = ask(&mut stranger, &real);
    assert_eq!(out.len(), 0);
    assert!(matches!(events[..], [Event::Dropped { why: "response to no request of ours", .. }]));
    let (_, mut line) = died_dialling();
    for forged in [
        real.replace("Call-ID: ", "Call-ID: x"),
        real.replace("CSeq: 1 ", "CSeq: 2 "),
        real.replace("branch=z9hG4bK", "branch=z9hG4bKx"),
        real.replace(";tag=", ";tag=x"),
        real.replace("1 INVITE", "1 BYE"),
    ] {
        let (out, events) = ask(&mut line, &forged);
        assert_eq!((out.len(), events.len(), line.load()), (0, 1, (0, 0)), "{forged}");
    }
    // A session that there is is not let go, whatever comes late.
    let leg = line.invite(call(), start());
    let invite = sent(&mut line).remove(0);
    ask(&mut line, &answer(&invite, 200));
    let much_later = start() + Duration::from_secs(40);
    line.handle_timeout(much_later);
    sent(&mut line);
    let (out, events) = ask(&mut line, &answer(&invite, 200));
    assert_eq!((statuses(&out).len(), events.len()), (0, 1));
    line.bye(leg, much_later);
    assert!(sent(&mut line)[0].starts_with("BYE "));
}
