//! Telephones that show texts.

use super::*;
use crate::io::slips;
use crate::protocol::sip::slip::{Reply, Says, Slip};

/// A line to telephones each of which answers with the status that is its number.
pub fn line() -> Slips {
    let (orders, mut ordered) = tokio::sync::mpsc::channel(8);
    let ended = slips::outcomes();
    let tell = ended.clone();
    tokio::spawn(async move {
        while let Some(Input::Slip(slip)) = ordered.recv().await {
            let Says::Text { text, .. } = &slip.says else { panic!("{slip:?}") };
            assert!(text.contains("记-") && !text.contains(CALLER), "esc_87: {text}");
            let reply = Reply::Status(slip.target.parse().unwrap());
            // Of others, before; one that nobody waits for.
            let _ = tell.send((crate::protocol::sip::slip::SlipId(u64::MAX), Reply::Silence));
            let _ = tell.send((slip.id, reply));
        }
    });
    Slips::new(orders, ended)
}

#[tokio::test]
async fn sig_message_a_channel_to_telephones_says_what_each_made_of_it() {
    let to = |number: &str| Way::SipMessage(vec![To::Number(number.to_owned())]);
    let channels = [("显示", "200"), ("转发", "202"), ("不收", "405"), ("忙", "486")];
    let channels = channels.map(|(name, number)| channel(name, Kind::SipMessage, to(number)));
    let room = Room::with(channels.to_vec()).await;
    room.flag(1).await;
    let told = |name: &str| {
        format!(
            "SELECT d.progress || ' ' || t.ending || ' ' || coalesce(t.provider_id, t.why) FROM delivery d
             JOIN delivery_try t ON t.delivery = d.id WHERE d.channel = '{name}' AND t.no = 1"
        )
    };
    room.is(&told("显示"), "accepted accepted 200 delivered").await;
    room.is(&told("转发"), "accepted accepted 202").await;
    room.is(&told("不收"), "failed permanent sip 405").await;
    room.is(&told("忙"), "waiting retry sip 486").await;
    room.stopping.cancel();
}

#[tokio::test]
async fn sig_message_of_many_matters_the_text_keeps_what_is_to_be_done() {
    let room = Room::with(vec![]).await;
    let (orders, mut ordered) = tokio::sync::mpsc::channel(8);
    let slips = Slips::new(orders, slips::outcomes());
    let office = Office { slips, ..room.office() };
    let way = Way::SipMessage(vec![To::Number("200".to_owned())]);
    let sender = Sender::new(channel("话机", Kind::SipMessage, way), &office).unwrap();
    let item = |n: usize| {
        let (number, urgency, drill) = (format!("记-20261003-{n:04}"), Urgency::Urgent, false);
        Item { number, urgency, drill }
    };
    let (mut random, now) = (Random::from_seed([1; 32]), clock::now());
    let outgoing = Outgoing {
        name: DeliveryId::new(now, &mut random),
        what: What::Alert,
        person: None,
        items: (1..=100).map(item).collect(),
        matter: Matter {
            escalation: EscalationId::new(now, &mut random),
            entry: EntryId::from(call(1)),
            raised: now.wall,
        },
        nth: 0,
        tries: vec![],
    };
    let said = tokio::select! {
        verdict = sender.send(&outgoing) => panic!("nobody has answered: {verdict:?}"),
        order = ordered.recv() => match order {
            Some(Input::Slip(Slip { says: Says::Text { text, .. }, .. })) => text,
            other => panic!("{other:?}"),
        },
    };
    assert!(said.len() < 300 && said.ends_with("按 1 确认，或回拨 63001234。"), "{said}");
}
