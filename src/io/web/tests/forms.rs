//! Forms that are refused: what was typed stays, and the field at fault is marked.

use super::*;

/// The form that is sent there, as it is drawn; of several the one with this button.
fn form<'a>(html: &'a str, action: &str, button: &str) -> &'a str {
    let mut forms = html.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap());
    let wanted = if action.is_empty() { String::new() } else { format!("action=\"{action}\"") };
    forms.find(|form| form.contains(&wanted) && form.contains(button)).expect("a form")
}

/// The tag of that field.
fn field<'a>(form: &'a str, name: &str) -> &'a str {
    let mut tags = form.split('<').map(|rest| rest.split('>').next().unwrap());
    tags.find(|tag| tag.contains(&format!("name=\"{name}\""))).expect("a field")
}

fn body(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, text)| format!("{name}={}", page::in_query(text)));
    fields.collect::<Vec<_>>().join("&")
}

#[track_caller]
fn points_at(form: &str, at: &str, names: &[&str]) {
    for name in names {
        let marked = field(form, name).contains("autofocus aria-invalid=\"true\"");
        assert_eq!(marked, *name == at, "{name}: {form}");
    }
    assert!(form.contains("id=\"fault\""), "it says why: {form}");
}

#[tokio::test]
async fn a_roster_form_that_is_refused_is_drawn_as_it_was_sent() {
    let mut room = Room::open().await;
    let person = |name: &str, role| Person::new(name, role, Some("13900000001"), None);
    let mut people = vec![
        person("张副局", Role::Leader),
        person("赵科长", Role::OfficeDirector),
        person("周主任", Role::Head),
    ];
    people[1].rank = 4;
    people.push(Person::new("值班台话机", Role::Officer, Some("2001"), None));
    room.web.dialler.roster = Roster { people };
    room.app = build(room.web.clone(), room.closing.clone());
    let names = ["absent", "stands_in", "from", "to", "reason", "approved_by"];
    let good = [
        ("absent", "周主任"),
        ("stands_in", "张副局"),
        ("from", "2099-01-01T08:30"),
        ("to", "2099-01-02T08:30"),
        ("reason", "出差\"<b>"),
        ("approved_by", "周主任"),
    ];
    let with = |at: usize, text: &'static str| {
        let mut fields = good;
        fields[at].1 = text;
        fields
    };
    for (fields, at, why) in [
        (with(0, "谁"), "absent", "配置文件"),
        (with(1, "值班台话机"), "stands_in", "配置文件"),
        (with(1, "周主任"), "stands_in", "另一位"),
        (with(2, "2099-01-01"), "from", "时间不对"),
        (with(3, "2099-01-01T08:29"), "to", "时间不对"),
        (with(4, " "), "reason", "必须填写原因"),
        (with(5, ""), "approved_by", "职级较低"),
        (with(5, "张副局"), "approved_by", "职级较低"),
    ] {
        let shown = room.post("/roster/substitution", &body(&fields)).await.text;
        let drawn = form(&shown, "/roster/substitution", "");
        points_at(drawn, at, &names);
        assert!(drawn.contains(why), "{drawn}");
        for (name, text) in &fields[2..5] {
            let text = text.replace('"', "&#34;").replace('<', "&#60;").replace('>', "&#62;");
            assert!(field(drawn, name).contains(&format!("value=\"{text}\"")), "{drawn}");
        }
        let chosen = fields[0].1;
        assert!(chosen == "谁" || drawn.contains(&format!("<option selected>{chosen}")), "{drawn}");
        let other = form(&shown, "/roster/duty", "");
        assert!(
            !other.contains("selected") && other.contains("name=\"from\" value=\"\""),
            "{other}"
        );
    }
    let shown = room.get("/roster").await.text;
    let approvers = shown.split("name=\"approved_by\"").nth(1).unwrap();
    let approvers = approvers.split("</select>").next().unwrap();
    assert!(approvers.contains("<option>周主任") && !approvers.contains("张副局"), "{approvers}");

    let duty = [("role", "head"), ("person", "赵科长"), ("from", "2026-01-02T08:30")];
    let ends = [("to", "2026-01-01T08:30")];
    let shown = room.post("/roster/duty", &body(&[&duty[..], &ends].concat())).await.text;
    let drawn = form(&shown, "/roster/duty", "");
    points_at(drawn, "to", &["role", "person", "from", "to"]);
    assert!(drawn.contains("<option value=\"head\" selected>"), "{drawn}");
    assert!(
        drawn.contains("<option selected>赵科长") && drawn.contains("2026-01-02T08:30"),
        "{drawn}"
    );
    let (duties, substitutions) = room.web.store.duties(clock::now()).await.unwrap();
    assert!(duties.is_empty() && substitutions.is_empty());
    assert_eq!(room.post("/roster/substitution", &body(&good)).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_of_the_keeping_that_is_refused_keeps_number_reason_and_ticks() {
    let mut room = Room::open().await;
    let unknown = [("number", "记-20990101-0001"), ("reason", "纪委调查")];
    let shown = room.post("/keeping/hold", &body(&unknown)).await.text;
    let drawn = form(&shown, "/keeping/hold", "");
    points_at(drawn, "number", &["number", "reason"]);
    assert!(drawn.contains("记-20990101-0001") && drawn.contains("value=\"纪委调查\""), "{drawn}");

    room.cookie = room.enters("zhang", "张主任", Account::Leader).await;
    for action in ["/keeping/list", "/keeping/copies"] {
        let shown = room.post(action, &body(&[("reason", "期满<1>")])).await.text;
        assert!(shown.contains("class=\"problem\""), "{shown}");
        if action == "/keeping/copies" {
            let drawn = form(&shown, action, "");
            assert!(field(drawn, "reason").contains("value=\"期满&#60;1&#62;\""), "{drawn}");
        }
    }
    let entry = room.caller_dials("13800130007", "").await;
    let number = room.web.store.entry_row(entry).await.unwrap().unwrap().number;
    for reason in ["一", "二"] {
        room.post("/keeping/hold", &body(&[("number", &number), ("reason", reason)])).await;
    }
    let shown = room.post("/keeping/release", &body(&[("id", "2"), ("reason", " ")])).await.text;
    let drawn = form(&shown, "/keeping/release", "value=\"2\"");
    points_at(drawn, "reason", &["reason"]);
    assert!(field(drawn, "reason").contains("value=\" \""), "{drawn}");
    let other = form(&shown, "/keeping/release", "value=\"1\"");
    assert!(!other.contains("autofocus"), "{other}");
}

#[tokio::test]
async fn a_period_that_ends_before_it_begins_is_said_to_and_stays_as_it_was_typed() {
    let room = Room::open().await;
    let shown = room.get("/period?from=2026-10-03T08:30&to=2026-10-02T08:30").await.text;
    let drawn = form(&shown, "/period", "");
    points_at(drawn, "to", &["from", "to"]);
    assert!(field(drawn, "from").contains("2026-10-03T08:30"), "{drawn}");
    assert!(field(drawn, "to").contains("2026-10-02T08:30"), "{drawn}");
    assert!(!room.get("/period").await.text.contains("id=\"fault\""));
}

#[tokio::test]
async fn the_first_account_that_is_refused_keeps_name_and_account() {
    let room = Room::closed().await;
    let token = room.web.store.make_login_link(None, clock::now()).await.unwrap().unwrap();
    let path = format!("/first/{token}");
    let (name, account) = (("name", "王值班"), ("account", "wang"));
    for (fields, at) in [
        ([name, account, ("password", "short"), ("again", "short")], "password"),
        ([name, account, ("password", "long enough"), ("again", "longer")], "password"),
        ([("name", " "), account, ("password", PASSWORD), ("again", PASSWORD)], "name"),
        ([name, ("account", " "), ("password", PASSWORD), ("again", PASSWORD)], "account"),
    ] {
        let shown = room.post(&path, &body(&fields)).await.text;
        let drawn = form(&shown, "", "name=\"again\"");
        points_at(drawn, at, &["name", "account", "password", "again"]);
        assert!(drawn.contains(fields[0].1) && drawn.contains(fields[1].1), "{drawn}");
        assert!(!drawn.contains("long enough") && !drawn.contains(PASSWORD), "{drawn}");
    }
}

#[tokio::test]
async fn the_address_of_a_form_that_was_refused_is_its_pages() {
    let room = Room::open().await;
    for (path, page) in [
        ("/roster/duty", "/roster"),
        ("/keeping/list/agree", "/keeping"),
        ("/roll-call/number", "/roll-call"),
        ("/drill", "/roll-call"),
    ] {
        let answer = room.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.headers[header::LOCATION], page, "{path}");
    }
    let other = room.ask(Method::PATCH, "/roster/duty", &[], "").await;
    assert_eq!(other.status, StatusCode::METHOD_NOT_ALLOWED);
}
