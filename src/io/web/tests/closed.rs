//! A closed entry: what is changed in it has a reason (I-4).

use super::*;

#[tokio::test]
async fn i_4_a_closed_entry_is_changed_with_a_reason_alone() {
    let room = Room::open().await;
    let entry = room.caller_dials("88123456", "").await;
    let filled =
        [("category", "inquiry"), ("subject", "办证"), ("content", "周六"), ("result", "已答复")];
    for (field, text) in filled {
        assert_eq!(room.save(entry, field, "", text).await.status, StatusCode::OK);
    }
    assert_eq!(room.post(&format!("/entries/{entry}/close"), "").await.status, StatusCode::OK);
    let refused = room.save(entry, "result", "已答复", "已转办").await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_REQUIRED);
    assert!(refused.text.contains("须写明原因"), "{}", refused.text);
    let conflict = room.save(entry, "result", "别的", "已转办").await;
    assert_eq!(conflict.status, StatusCode::CONFLICT, "what it reads now comes first");

    let edit = |reason: &str| {
        serde_json::json!({ "field": "result", "base": "已答复", "value": "已转办", "reason": reason })
            .to_string()
    };
    let path = format!("/entries/{entry}");
    let json = [("content-type", "application/json")];
    let blank = room.ask(Method::PATCH, &path, &json, &edit(" \t")).await;
    assert_eq!(blank.status, StatusCode::PRECONDITION_REQUIRED);
    let done = room.ask(Method::PATCH, &path, &json, &edit("核实<后>")).await;
    assert_eq!(done.status, StatusCode::OK);
    let shown = room.fragment(&path).await.text;
    assert!(
        shown.contains("<del>已答复</del>") && shown.contains("原因：核实&#60;后&#62;"),
        "{shown}"
    );
    assert!(shown.contains("已办结"), "it is still done with: {shown}");

    let why = format!("reason={}", page::in_query("又来电"));
    assert_eq!(room.post(&format!("{path}/reopen"), &why).await.status, StatusCode::OK);
    let open = room.save(entry, "result", "已转办", "已转办公室").await;
    assert_eq!(open.status, StatusCode::OK, "why it is open has been said");
}
