//! Who may do what: each route of the page, tried by each account (domain §4.5).

use super::*;

/// What needs no session.
const OPEN: [&str; 4] = ["/login", "/first/{token}", "/language", "/channels/{channel}/replies"];
/// A system administrator's work too; 录音保管 by rules of its own.
const ADMINS: [&str; 4] = ["/logout", "/self-test", "/demo/call", "/keeping"];

/// Every route that changes something, as the router names it, and how.
fn changes() -> Vec<(Method, String)> {
    let router = include_str!("../mod.rs");
    let routes = router.lines().filter_map(|line| {
        let (path, handlers) = line.trim().strip_prefix(".route(\"")?.split_once("\", ")?;
        Some((path.to_owned(), handlers.to_owned()))
    });
    let methods = routes.flat_map(|(path, handlers)| {
        let has = |name: &str| handlers.contains(&format!("{name}("));
        [(Method::POST, has("post")), (Method::PATCH, has("patch"))]
            .into_iter()
            .filter(|(_, has)| *has)
            .map(move |(method, _)| (method, path.clone()))
    });
    methods.filter(|(_, path)| !OPEN.contains(&path.as_str())).collect()
}

fn filled(path: &str, entry: EntryId) -> String {
    let path = path.replace("{entry}", &entry.to_string()).replace("{call}", &entry.to_string());
    let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn web_07_an_administrator_does_none_of_the_rooms_work() {
    let mut room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.cookie = room.enters("guanli", "管理员", Account::Admin).await;
    let changes = changes();
    assert!(changes.len() > 30, "{changes:?}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (method, path) in changes {
        if ADMINS.iter().any(|root| path.starts_with(root)) {
            continue;
        }
        let answer = room.ask(method.clone(), &filled(&path, entry), &form, "x=1").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {}", answer.text);
        assert!(answer.text.contains("系统管理员账号不办值班业务"), "{path}: {}", answer.text);
    }
    for path in [format!("/entries/{entry}"), "/search".to_owned(), "/period".to_owned()] {
        assert_eq!(room.fragment(&path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let desk = room.get(&format!("/?entry={entry}")).await;
    assert_eq!(desk.status, StatusCode::OK, "the line and the alarms are his to see");
    assert!(desk.text.contains("系统管理员账号不办值班业务"), "{}", desk.text);
    assert!(!desk.text.contains(&format!("row-{entry}")));
    assert!(room.web.store.open_escalations().await.unwrap().is_empty());
}

#[tokio::test]
async fn web_07_without_a_session_nothing_is_changed() {
    let room = Room::closed().await;
    let entry = room.caller_dials("13800130007", "").await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (method, path) in changes() {
        let answer = room.ask(method.clone(), &filled(&path, entry), &form, "x=1").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}
