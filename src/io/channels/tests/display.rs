//! Telephones that show texts.

use super::*;
use crate::io::slips;
use crate::protocol::sip::slip::{Reply, Says};

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
