//! Behind a reverse proxy with TLS.

use super::*;
use axum::extract::ConnectInfo;
use std::net::{IpAddr, SocketAddr};

const PROXY: &str = "127.0.0.1";

struct Behind {
    room: Room,
    app: Router,
}

impl Behind {
    async fn open() -> Self {
        let mut room = Room::open().await;
        room.web.proxies = vec![PROXY.parse().unwrap()];
        let app = build(room.web.clone(), room.closing.clone());
        Self { room, app }
    }

    async fn ask(&self, peer: &str, headers: &[(&str, &str)], path: &str, body: &str) -> Response {
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "desk")
            .header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        let peer = SocketAddr::new(peer.parse::<IpAddr>().unwrap(), 40_000);
        request.extensions_mut().insert(ConnectInfo(peer));
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn sign_in(&self, peer: &str, from: &str, password: &str) -> Response {
        let body = format!("account=zhuban&password={}", page::in_query(password));
        self.ask(peer, &[("x-forwarded-for", from)], "/login", &body).await
    }

    /// Where the last session was opened from.
    async fn terminal(&self) -> String {
        let query = "SELECT terminal FROM audit WHERE action = 'session.open' ORDER BY id DESC";
        let log = rusqlite::Connection::open(self.room.folder.path().join("dutyline.db")).unwrap();
        log.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn web_02_who_guesses_behind_the_proxy_keeps_nobody_else_out() {
    let room = Behind::open().await;
    for _ in 0..9 {
        room.sign_in(PROXY, "192.0.2.9", "password1").await;
    }
    let guesser = room.sign_in(PROXY, "192.0.2.9", PASSWORD).await;
    assert_eq!(guesser.status(), StatusCode::TOO_MANY_REQUESTS);
    let officer = room.sign_in(PROXY, "198.51.100.7, 192.0.2.1", PASSWORD).await;
    assert_eq!(officer.status(), StatusCode::SEE_OTHER);
    assert_eq!(room.terminal().await, "192.0.2.1", "what the client wrote itself is not believed");
}

#[tokio::test]
async fn web_15_what_others_than_the_proxy_say_of_themselves_counts_for_nothing() {
    let room = Behind::open().await;
    for guess in 0..9 {
        room.sign_in("192.0.2.66", &format!("192.0.2.{guess}"), "password1").await;
    }
    let slowed = room.sign_in("192.0.2.66", "192.0.2.200", PASSWORD).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS);
    let said = [("x-forwarded-proto", "https")];
    let answer = room.ask("192.0.2.67", &said, "/login", "").await;
    assert!(!answer.headers().contains_key(header::STRICT_TRANSPORT_SECURITY));
}

#[tokio::test]
async fn web_05_by_tls_the_cookie_is_of_this_host_alone() {
    let room = Behind::open().await;
    let by_tls = ("x-forwarded-proto", "https");
    let body = format!("account=zhuban&password={}", page::in_query(PASSWORD));
    let answer = room.ask(PROXY, &[by_tls], "/login", &body).await;
    assert_eq!(answer.headers()[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-dutyline_session="), "{cookie}");
    assert!(cookie.contains("Secure") && cookie.contains("Path=/"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let desk = room.ask(PROXY, &[by_tls, ("cookie", session)], "/", "").await;
    assert_eq!(desk.status(), StatusCode::OK);
    let planted = session.replace("__Host-", "");
    let desk = room.ask(PROXY, &[by_tls, ("cookie", &planted)], "/", "").await;
    assert_eq!(desk.status(), StatusCode::SEE_OTHER, "one that a plain page could have set");
    let out = room.ask(PROXY, &[by_tls, ("cookie", session)], "/logout", "x=").await;
    let gone = out.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(gone.starts_with("__Host-dutyline_session=;") && gone.contains("Secure"), "{gone}");
}
