//! What supervisor and monitoring are told.

use super::*;
use crate::io::status::{Alarm, LineState};

#[tokio::test]
async fn health_and_readiness_say_what_is_missing() {
    let room = Room::closed().await;
    assert_eq!(room.get("/healthz").await.status, StatusCode::OK);
    let not_yet = room.get("/readyz").await;
    assert_eq!(not_yet.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(not_yet.text.contains(r#""line":false"#) && not_yet.text.contains(r#""log":true"#));
    room.web.board.update(|status| {
        status.line = LineState::Registered { since: clock::now().wall };
    });
    assert_eq!(room.get("/readyz").await.status, StatusCode::OK);
    let since = clock::now().wall;
    for (key, check) in [("part", "parts"), ("log_mark", "log_mark"), ("disk", "disk")] {
        let alarm = Alarm { since, zh: String::new(), en: String::new() };
        room.web.board.update(|status| drop(status.alarms.insert(key, alarm)));
        let without = room.get("/readyz").await;
        assert_eq!(without.status, StatusCode::SERVICE_UNAVAILABLE, "{key}");
        assert!(without.text.contains(&format!("\"{check}\":false")), "{}", without.text);
        room.web.board.update(|status| drop(status.alarms.remove(key)));
        assert_eq!(room.get("/readyz").await.status, StatusCode::OK);
    }
    let wedged = Web { alive: Arc::new(|| false), ..room.web.clone() };
    let wedged = Room { app: router(wedged), ..room };
    assert_eq!(wedged.get("/healthz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(wedged.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}
