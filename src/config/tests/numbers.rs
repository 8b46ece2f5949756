//! Several duty numbers.

use super::*;
use crate::duty::line_plan::{Begins, Ring};

const TWO: &str = "
[[phones]]
name = \"备用\"
target = \"2002\"

[[numbers]]
number = \"63005678\"
name = \"举报专线\"
user = \"1002\"
password_file = \"FILE\"
phones = [\"备用\"]
self_test_dial = \"963005678\"
when_busy = \"queue\"
";

fn with(text: &str, more: &str) -> Result<Loaded, Faults> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "of 1002\n").unwrap();
    load(&(RIGHT.to_string() + &text.replace("FILE", file.path().to_str().unwrap()) + more))
}

fn fields(text: &str, more: &str) -> Vec<String> {
    let faults = with(text, more).map(|_| ()).expect_err("a fault");
    faults.list.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn sig_01_each_number_has_an_extension_phones_and_answering_of_its_own() {
    let config = with(TWO, "").expect("right").config;
    let [number] = &config.numbers[..] else { panic!("{:?}", config.numbers) };
    assert_eq!((number.aor.user.as_str(), number.aor.auth_user.as_str()), ("1002", "1002"));
    assert_eq!(number.aor.password, "of 1002");
    assert_eq!(number.test_dial.as_deref(), Some("963005678"));
    assert_eq!(number.plan.rings, [Ring { place: 1, begins: Begins::InTurn }]);
    assert!(number.plan.answering.queue.is_some());
    assert_eq!(config.answering.queue, None, "the line's own is as it was");
    assert_eq!(number.plan.answering.message, config.answering.message, "as [answering] has it");
    assert_eq!(config.rings, None, "every phone rings for the line's own");
    assert!(config.summary().contains("63005678"), "{}", config.summary());
    assert!(!format!("{config:?}").contains("of 1002"), "the password is in no log");
    let own = with(TWO, "[answering]\nphones = [\"值班台话机\"]\n").expect("right").config;
    assert_eq!(own.rings, Some(vec![0]));
}

#[test]
fn a_number_that_cannot_work_is_told_with_its_remedy() {
    assert_eq!(fields(&TWO.replace("1002\"\npass", "1001\"\npass"), ""), ["numbers[0].user"]);
    assert_eq!(fields(&TWO.replace("[\"备用\"]", "[\"备\"]"), ""), ["numbers[0].phones"]);
    assert_eq!(fields(&TWO.replace("[\"备用\"]", "[]"), ""), ["numbers[0].phones"]);
    assert_eq!(fields(&TWO.replace("password_file", "# "), ""), ["numbers[0].password_file"]);
    assert_eq!(fields(&TWO.replace("name = \"举报专线\"\n", ""), ""), ["numbers[0].name"]);
    assert_eq!(fields(&TWO.replace("when_busy", "when_bsy"), ""), ["numbers[0].when_bsy"]);
    let twice = TWO.split("[[numbers]]").nth(1).unwrap().to_owned();
    let again = fields(&format!("{TWO}\n[[numbers]]{twice}"), "");
    assert_eq!(again, ["numbers[1].number", "numbers[1].user"]);
}
