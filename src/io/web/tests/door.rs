//! Who gets in, and what the page guards against.

use super::*;

#[tokio::test]
async fn nothing_but_the_door_is_open_without_signing_in() {
    let room = Room::closed().await;
    let entry = room.caller_dials("13800130007", "").await;
    for path in ["/", "/rows", "/strip", "/events", &format!("/entries/{entry}")] {
        let answer = room.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        let to = answer.headers[header::LOCATION].to_str().unwrap();
        assert!(to.starts_with("/login?next="), "{to}");
        assert_eq!(room.fragment(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["urgency", "class", "register", "close", "withdraw", "leader", "callback"] {
        let answer = room.post(&format!("/entries/{entry}/{path}"), "urgency=critical").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(room.save(entry, "subject", "", "x").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(room.post("/demo/call", "").await.status, StatusCode::UNAUTHORIZED);
    let recording = room.get(&format!("/recordings/{entry}")).await;
    assert_eq!(recording.status, StatusCode::SEE_OTHER);
    for path in ["/login", "/healthz", "/static/app.css"] {
        assert_eq!(room.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(room.web.store.open_escalations().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_form_that_is_sent_when_the_session_is_over_is_answered_in_words() {
    let room = Room::closed().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let from = ("referer", "http://desk/roster?a=b");
    for path in ["/roster/substitution", "/roll-call", "/drill", "/keeping/hold", "/logout"] {
        let plain = room.ask(Method::POST, path, &[form, from], "").await;
        let document = [form, from, ("sec-fetch-dest", "document")];
        for answer in [plain, room.ask(Method::POST, path, &document, "").await] {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(answer.text.contains("登录已过期"), "{path}: {}", answer.text);
            assert!(answer.text.contains("/login?next=/roster%3Fa%3Db"), "{path}: {}", answer.text);
        }
        let script = [form, ("sec-fetch-dest", "empty")];
        assert_eq!(room.ask(Method::POST, path, &script, "").await.text, "", "{path}");
    }
}

#[tokio::test]
async fn the_first_account_is_made_by_a_link_that_works_once() {
    let room = Room::closed().await;
    let token = room.web.store.make_login_link(None, clock::now()).await.unwrap().unwrap();
    let path = format!("/first/{token}");
    assert!(room.get(&path).await.text.contains("创建第一个账号"));
    let form = |password: &str, again: &str| {
        format!("name=%E5%BC%A0%E4%B8%89&account=zhang&password={password}&again={again}")
    };
    let differs = room.post(&path, &form("correcthorse", "batterystaple")).await;
    assert_eq!(differs.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(differs.text.contains("两次口令不一致") && differs.text.contains("张三"));
    assert!(!differs.text.contains("correcthorse"), "a password is never shown again");
    let short = room.post(&path, &form("1234567", "1234567")).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    let made = room.post(&path, &form("correcthorse", "correcthorse")).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    let room = Room { cookie: cookie(&made), ..room };
    assert!(room.get("/").await.text.contains("张三"));
    assert_eq!(room.get(&path).await.status, StatusCode::GONE);
    assert_eq!(
        room.post(&path, &form("correcthorse", "correcthorse")).await.status,
        StatusCode::GONE
    );
    assert_eq!(room.post("/logout", "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(
        room.fragment("/rows").await.status,
        StatusCode::UNAUTHORIZED,
        "the session is over"
    );
}

#[tokio::test]
async fn guessing_is_slowed_down_and_tells_nothing() {
    let room = Room::open().await;
    let wrong = room.sign_in("zhuban", "password1").await;
    let nobody = room.sign_in("nobody", "password1").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.text.replace("zhuban", "nobody"), nobody.text);
    for _ in 0..8 {
        room.sign_in("zhuban", "password1").await;
    }
    let slowed = room.sign_in("zhuban", PASSWORD).await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS, "the right one has to wait too");
    assert!(slowed.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(room.sign_in("nobody", "password1").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_site_can_make_the_browser_do_nothing() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/urgency");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for from in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let answer = room.ask(Method::POST, &path, &[form, from], "urgency=critical").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{from:?}");
    }
    assert!(room.web.store.open_escalations().await.unwrap().is_empty());
    let own = [form, ("sec-fetch-site", "same-origin")];
    assert_eq!(
        room.ask(Method::POST, &path, &own, "urgency=critical").await.status,
        StatusCode::OK
    );
    assert_eq!(room.web.store.open_escalations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_answer_carries_the_guards() {
    let room = Room::open().await;
    let paths = ["/", "/login", "/static/app.css", "/nowhere", "/healthz", "/entries/not-a-name"];
    for path in paths {
        let answer = room.get(path).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        let kept = &answer.headers[header::CACHE_CONTROL];
        assert_eq!(kept == "private, no-store", !path.starts_with("/static/"), "{path}");
        assert!(!answer.text.contains("style="), "{path}: no inline style");
    }
}

#[tokio::test]
async fn what_a_caller_says_of_himself_is_text() {
    let room = Room::open().await;
    let hostile = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</textarea></template><svg onload=alert(1)>",
        &"长".repeat(200),
    ];
    for claim in hostile {
        let entry = room.caller_dials(claim, claim).await;
        room.web
            .store
            .save_field(
                &officer(&room).await,
                entry,
                crate::duty::entry::Field::Content,
                "",
                claim,
                clock::now(),
            )
            .await
            .unwrap();
        let flagged = room.post(&format!("/entries/{entry}/urgency"), "urgency=urgent").await;
        assert_eq!(flagged.status, StatusCode::OK);
        let desk = room.get(&format!("/?entry={entry}")).await.text;
        for page in [desk, room.fragment("/rows").await.text, room.fragment("/strip").await.text] {
            for planted in ["<script>alert", "<img src=x", "<svg", "onmouseover='", "</template><s"]
            {
                assert!(!page.contains(planted), "{planted} of {claim}");
            }
        }
    }
}
