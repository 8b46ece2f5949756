//! 交接 on the wire: who is written to, and what.

use super::*;
use stub::Seen;

#[tokio::test(flavor = "multi_thread")]
async fn esc_68_both_leaders_get_a_text_of_their_own_and_nobody_else_does() {
    let stub = Stub::answering(|_, _| status(200, ""));
    let way = Gateway {
        url: stub.url("/sms"),
        content_type: "text/plain".to_owned(),
        headers: vec![],
        body: "{to} {text}".to_owned(),
        secret: None,
        to: vec![To::Role(Role::Leader), To::Number("13900000009".to_owned())],
        success: None,
        replies: None,
    };
    let room = Room::with(vec![]).await;
    let mut office = room.office();
    let other = Person::new("李副局", Role::Substitute, Some("913900000002"), None);
    office.roster.people.push(Person { sms: Some("13900000002".to_owned()), ..other });
    let roster = office.roster.clone();
    // Of a kind that knows no pause between two messages.
    let sms = channel("短信", Kind::Webhook, Way::Sms(way));
    assert!(sms.plan.to_leader);
    drop(start(vec![sms], office, &room.stopping).await);
    let look = async || {
        let looked = room.store.next_calls(clock::now(), &Policy::default(), &roster).await;
        looked.unwrap().live.into_iter().for_each(|live| room.board.tell(live));
    };
    let said = |seen: [Seen; 2]| {
        let mut said = seen.map(|seen| seen.body);
        said.sort();
        said
    };
    room.flag(1).await;
    look().await;
    let [leader, fixed] = said([stub.next(), stub.next()]);
    assert!(leader.starts_with("13900000001 【急】") && fixed.starts_with("13900000009 【急】"));
    let (person, from) = ("李副局".to_owned(), clock::now().wall);
    let duty = OnDuty { role: Role::Leader, person, from, to: None };
    room.store.put_on_duty(&officer(), duty, clock::now()).await.unwrap();
    look().await;
    let [old, new] = said([stub.next(), stub.next()]);
    assert!(old.starts_with("13900000001 【已交接】记-"), "{old}");
    assert!(new.starts_with("13900000002 【急】值班室有紧急事项"), "{new}");
    assert!(stub.is_quiet_for(Duration::from_millis(300)), "the others have heard of it");
}
