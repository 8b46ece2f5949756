//! What answers, hangs, lies and may not be reached.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn esc_55_410_closes_the_channel_and_a_redirect_is_not_followed() {
    let elsewhere = Stub::start(vec![status(200, "")]);
    let gone = Stub::start(vec![status(410, "")]);
    let location = format!("location: {}\r\n", elsewhere.url("/"));
    let moved = Stub::start(vec![status(302, &location)]);
    let room = Room::with(vec![hook("已撤", &gone), hook("改址", &moved)]).await;
    room.flag(1).await;
    gone.next();
    moved.next();
    room.is("SELECT why FROM channel WHERE name = '已撤'", "http 410").await;
    room.is("SELECT group_concat(DISTINCT progress) FROM delivery", "failed").await;
    let alarm = room.board.status().alarms["channels"].clone();
    assert!(
        alarm.zh.contains("已撤（http 410）") && alarm.zh.contains("改址（http 302）"),
        "{alarm:?}"
    );
    room.flag(2).await;
    moved.next();
    assert!(gone.is_quiet_for(Duration::from_millis(500)), "nothing more is sent there");
    assert!(elsewhere.is_quiet_for(Duration::from_millis(100)), "nobody went there");
}

async fn asked(stub: &Stub, limit: u64) -> Result<Answer, Fault> {
    let http = Http::new(Guard { allow: loopback() }, None).unwrap();
    let request = Request { url: stub.url("/"), ..Request::default() };
    http.send(request, Duration::from_secs(limit)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_55_a_reset_a_flood_and_a_drip_are_classified_and_never_hang() {
    let resets = asked(&Stub::start(vec![Act::Resets]), 5).await;
    assert_eq!(resets, Err(Fault::NoAnswer("connection lost")));
    let hangs = asked(&Stub::start(vec![Act::Hangs]), 1).await;
    assert_eq!(hangs, Err(Fault::NoAnswer("timeout")));
    let broken = asked(&Stub::start(vec![Act::BreaksOff(200)]), 5).await.unwrap();
    assert_eq!((broken.status, broken.cut, broken.json()), (200, true, None));
    let flood = Stub::start(vec![Act::Floods]);
    let began = Instant::now();
    let flooded = asked(&flood, 60).await.unwrap();
    assert_eq!((flooded.body.len(), flooded.cut), (READ_AT_MOST, true));
    assert!(began.elapsed() < Duration::from_secs(40));
    let sent = flood.next().flooded;
    assert!(sent < 16 << 20, "the connection is given up: {sent} bytes of 1 GiB left the provider");
    let began = Instant::now();
    let dripped = asked(&Stub::start(vec![Act::Drips]), 2).await.unwrap();
    assert!(dripped.cut && began.elapsed() < Duration::from_secs(20));
    let nobody = Stub { address: "127.0.0.1:9".parse().unwrap(), ..Stub::start(vec![Act::Hangs]) };
    assert_eq!(asked(&nobody, 5).await, Err(Fault::NotSent("no connection")));
    let http = Http::new(Guard::default(), None).unwrap();
    let unknown = Request { url: "http://nowhere.invalid/".into(), ..Request::default() };
    let unknown = http.send(unknown, Duration::from_secs(5)).await;
    assert_eq!(unknown, Err(Fault::NotSent("name unknown")));
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_56_nothing_reaches_this_host_unless_it_is_on_the_list() {
    let stub = Stub::start(vec![status(200, "")]);
    let http = Http::new(Guard::default(), None).unwrap();
    let port = stub.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"]
    {
        let request = Request { url: format!("http://{host}:{port}/"), ..Request::default() };
        let refused = http.send(request, Duration::from_secs(5)).await;
        assert_eq!(refused, Err(Fault::Refused("address not allowed")), "{host}");
    }
    assert!(stub.is_quiet_for(Duration::from_millis(200)));
    let refused = Fault::Refused("address not allowed").verdict();
    assert_eq!(refused, Verdict::Permanent { why: "address not allowed".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_55_an_expired_certificate_is_refused_and_a_good_one_is_not() {
    for (expired, wanted) in [(true, Err(Fault::NotSent("certificate refused"))), (false, Ok(200))]
    {
        let answer = "HTTP/1.1 200 X\r\ncontent-length: 0\r\n\r\n";
        let (address, pem) = smtp::tls_answering(expired, answer).await;
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, pem).unwrap();
        let v6 = Network { ip: "::1".parse().unwrap(), bits: 128 };
        let guard = Guard { allow: [loopback(), vec![v6]].concat() };
        let http = Http::new(guard, Some(&ca)).unwrap();
        let url = format!("https://localhost:{}/", address.port());
        let request = Request { url, ..Request::default() };
        let answer = http.send(request, Duration::from_secs(5)).await;
        assert_eq!(answer.map(|answer| answer.status), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_57_a_signature_is_encoded_once() {
    let stub = Stub::start(vec![json(r#"{"errcode":0}"#)]);
    let way = bot(&stub, Some("SECthis-is-a-secret"));
    let mut request = with_letter(async |letter| dingtalk::request(&way, letter)).await;
    let vector = "TaTiygEFKE1tL8S16JSPQ4yM8i9Yx+vo6HuO+H1oDpI=";
    for (name, value) in &mut request.query {
        if *name == "sign" {
            assert_eq!(value.len(), vector.len());
            *value = vector.to_owned();
        }
    }
    let http = Http::new(Guard { allow: loopback() }, None).unwrap();
    let answer = http.send(request, Duration::from_secs(5)).await;
    assert_eq!(dingtalk::verdict(answer), Verdict::Accepted { id: None });
    let line = stub.next().line;
    assert!(line.starts_with("POST /robot/send?access_token=token-not-to-be-logged&"), "{line}");
    assert!(line.ends_with("&sign=TaTiygEFKE1tL8S16JSPQ4yM8i9Yx%2Bvo6HuO%2BH1oDpI%3D"), "{line}");
}
