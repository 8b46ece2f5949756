//! The program's face on the command line: exit codes, help, accounts.

mod administration;
mod beginning;
mod checks;
mod zones;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const RIGHT: &str = r#"
[line]
number = "63001234"
room = "值班室"
pbx = "127.0.0.1:5060"
user = "1001"
password = "the-secret"
listen = "127.0.0.1:5070"

[[phones]]
name = "值班台话机"
target = "2001"

[[leaders]]
name = "李四"
role = "leader"
mobile = "3001"
office = "3002"
"#;

fn dutyline(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dutyline"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DUTYLINE_CONFIG")
        .env_remove("DUTYLINE_LINE_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("d.toml"), config).expect("written");
    folder
}

#[test]
fn a_right_configuration_is_summed_up_without_its_secret() {
    let folder = folder_with(RIGHT);
    // Taken ports do not matter: nothing is listened to.
    let _sip = UdpSocket::bind("127.0.0.1:5070");
    let _page = TcpListener::bind("127.0.0.1:8080");
    let done = dutyline(folder.path(), &["check-config", "--config", "d.toml"], "");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let shown = text(&done.stdout);
    assert!(shown.contains("d.toml: 正确 · ok") && shown.contains("63001234"), "{shown}");
    assert!(!shown.contains("the-secret") && !text(&done.stderr).contains("the-secret"));
    assert!(text(&done.stderr).contains("password_file"), "warned of the password in the file");
    let files: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(files.len(), 1, "nothing is made: {files:?}");
}

#[test]
fn the_sentences_of_the_telephone_are_handed_out_and_can_be_said_by_the_site() {
    let folder = folder_with(&format!("{RIGHT}\n[prompts]\nfolder = \"said\"\n"));
    let done = dutyline(folder.path(), &["prompts", "said"], "");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let words = fs::read_to_string(folder.path().join("said/sentences.txt")).expect("the words");
    assert!(words.contains("urgent.wav\t值班室有紧急事项"), "{words}");
    let done = dutyline(folder.path(), &["check-config", "--config", "d.toml"], "");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(!text(&done.stderr).contains("prompts"), "all are there: {done:?}");
    let done = dutyline(folder.path(), &["prompts", "said"], "");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(text(&done.stderr).contains("sentences.txt"), "nothing is overwritten: {done:?}");
}

#[test]
fn a_wrong_configuration_ends_every_command_with_code_2() {
    let folder = folder_with("[line]\npbx = 5\nnumbr = \"1\"\n");
    for command in [&["check-config"][..], &["run"], &["user", "add", "张三"]] {
        let done = dutyline(folder.path(), &[command, &["--config", "d.toml"]].concat(), "");
        assert_eq!(done.status.code(), Some(2), "{command:?}: {done:?}");
        let shown = text(&done.stderr);
        assert!(shown.contains("d.toml:2:7: line.pbx"), "{shown}");
        assert!(shown.contains("d.toml:3:1: line.numbr"), "{shown}");
        assert!(shown.contains("faults"), "{shown}");
    }
}

#[test]
fn a_command_that_finds_no_folder_says_how_it_is_made() {
    let folder = folder_with(RIGHT);
    for command in [&["user", "add", "张三"][..], &["trace", "记-20261003-0001"]] {
        let done = dutyline(folder.path(), &[command, &["--config", "d.toml"]].concat(), "x");
        assert_eq!(done.status.code(), Some(1), "{command:?}: {done:?}");
        let shown = text(&done.stderr);
        assert!(shown.contains("没有这个文件夹：先以本程序的用户运行一次 dutyline run"), "{shown}");
    }
}

#[test]
fn esc_82_a_policy_that_hangs_on_one_telephone_is_refused_by_both_checks() {
    let folder = folder_with(&RIGHT.replace("office = \"3002\"\n", ""));
    for command in [&["policy", "check"][..], &["check-config"]] {
        let done = dutyline(folder.path(), &[command, &["--config", "d.toml"]].concat(), "");
        assert_eq!(done.status.code(), Some(2), "{command:?}: {done:?}");
        let shown = text(&done.stderr);
        assert!(shown.contains("全部指望一个号码 3001"), "{shown}");
        assert!(shown.contains("role = \"substitute\""), "the remedy: {shown}");
    }
    let folder = folder_with(RIGHT);
    let done = dutyline(folder.path(), &["policy", "check", "--config", "d.toml"], "");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert!(text(&done.stderr).contains("没有这个人"), "warned of who is missing: {done:?}");
}

#[test]
fn esc_82_every_version_is_checked_and_each_is_named_with_its_state() {
    let later = |from: &str, role: &str| {
        format!(
            "[[escalation.later]]\nfrom = \"{from}\"\nname = \"{role}\"\n[[escalation.later.urgent]]\n\
             role = \"leader\"\nlasts_seconds = 60\ncalls = [{{ line = \"mobile\" }}]\n\
             [[escalation.later.urgent]]\nrole = \"{role}\"\nlasts_seconds = 60\n\
             calls = [{{ line = \"office\" }}]\n"
        )
    };
    let right = format!("{RIGHT}{}", later("2020-01-01 08:00", "leader"));
    let folder = folder_with(&format!("{right}{}", later("2999-12-01 08:00:00", "leader")));
    let check =
        |folder: &std::path::Path| dutyline(folder, &["policy", "check", "--config", "d.toml"], "");
    let done = check(folder.path());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let shown = text(&done.stdout);
    for line in [
        "[escalation]  已被取代",
        "2020-01-01 08:00:00 leader 现行",
        "2999-12-01 08:00:00 leader 待生效",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    let folder = folder_with(&format!("{right}{}", later("2999-12-01 08:00", "head")));
    let done = check(folder.path());
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(text(&done.stderr).contains("2999-12-01 08:00:00 head："), "{done:?}");
}

/// "The leader's mobile is off at 03:00: who rings when?"
#[test]
fn esc_82_a_rehearsal_is_drawn_as_a_time_line() {
    let substitute = "[[leaders]]\nname = \"王五\"\nrole = \"substitute\"\nmobile = \"3003\"\n";
    let folder = folder_with(&format!("{RIGHT}{substitute}"));
    let rehearsed = |more: &[&str]| {
        let arguments = [&["policy", "simulate", "--config", "d.toml"], more].concat();
        dutyline(folder.path(), &arguments, "")
    };
    let done = rehearsed(&["--phone", "leader=off", "--phone", "substitute=answers"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let shown = text(&done.stdout);
    for line in [
        "03:00:00  +00:00  ⚑ 特急",
        "03:00:00  +00:00  ☎ 带班领导 李四 3001",
        "03:00:45  +00:45  ☎ 带班领导 李四 3002",
        "03:01:50  +01:50  ☎ 替班领导 王五 3003",
        "● 替班领导 王五 按 1 知悉",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert_eq!(rehearsed(&["--phone", "leader=asleep"]).status.code(), Some(1));
    assert_eq!(rehearsed(&["--at", "25:00"]).status.code(), Some(2));
}

#[test]
fn esc_82_a_rehearsal_on_the_terminal_goes_by_the_roster_that_the_log_has_for_its_moment() {
    use dutyline::io::clock;
    let substitute = "[[leaders]]\nname = \"王五\"\nrole = \"substitute\"\nmobile = \"3003\"\n";
    let config = RIGHT.replace("[[phones]]", "[storage]\ndata = \".\"\n[[phones]]");
    let folder = folder_with(&format!("{config}{substitute}"));
    let now = clock::now().wall;
    let rehearsed = |hours: i64| {
        let at = now + chrono::TimeDelta::hours(hours + 8);
        let at = at.format("%H:%M").to_string();
        let done = dutyline(
            folder.path(),
            &["policy", "simulate", "--config", "d.toml", "--at", &at, "--phone", "leader=busy"],
            "",
        );
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        (text(&done.stdout), text(&done.stderr))
    };
    let (shown, told) = rehearsed(2);
    assert!(shown.contains("☎ 带班领导 李四 3001") && told.contains("没有值班记录"), "{told}");
    let database = folder.path().join("dutyline.db");
    drop(dutyline::io::store::Store::open(&database, clock::random()).expect("opened"));
    let sql = rusqlite::Connection::open(&database).expect("opened");
    let from = (now + chrono::TimeDelta::hours(1)).timestamp_millis();
    sql.execute(
        "INSERT INTO duty (role, person, from_ms, entered_by, entered_ms)
         VALUES ('leader', '王五', ?1, '主班员', 0)",
        [from],
    )
    .expect("on duty");
    let (shown, told) = rehearsed(2);
    assert!(shown.contains("☎ 带班领导 王五 3003") && !shown.contains("李四"), "{shown}");
    assert!(shown.contains("王五 3003 占线"), "leader=busy is he who leads then: {shown}");
    assert!(!told.contains("没有值班记录"), "{told}");
}

#[test]
fn help_and_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let help = text(&dutyline(folder.path(), &["--help"], "").stdout);
    for word in ["run", "demo", "check-config", "user", "运行", "演示", "检查设置文件"] {
        assert!(help.contains(word), "{word} in {help}");
    }
    let version = text(&dutyline(folder.path(), &["--version"], "").stdout);
    assert_eq!(version.trim(), format!("dutyline {}", env!("CARGO_PKG_VERSION")));
    let nonsense = dutyline(folder.path(), &["--log", "=[", "check-config"], "");
    assert_eq!(nonsense.status.code(), Some(2));
}

#[test]
fn accounts_are_added_with_a_password_from_the_input() {
    let folder = folder_with(&RIGHT.replace("[[phones]]", "[storage]\ndata = \".\"\n[[phones]]"));
    let add = |name: &str, password: &str| {
        let arguments = ["user", "add", name, "--login", "zhang", "--config", "d.toml"];
        dutyline(folder.path(), &arguments, password)
    };
    let short = add("张三", "1234\n");
    assert_eq!(short.status.code(), Some(1));
    assert!(text(&short.stderr).contains("8 to 128"), "{short:?}");
    let added = add("张三", "correct horse\n");
    assert_eq!(added.status.code(), Some(0), "{added:?}");
    assert!(text(&added.stdout).contains("zhang"), "{added:?}");
    let twice = add("张四", "battery staple\n");
    assert_eq!(twice.status.code(), Some(1));
    assert!(text(&twice.stderr).contains("already"), "{twice:?}");
    let database = rusqlite::Connection::open(folder.path().join("dutyline.db")).expect("opened");
    let row = database.query_row("SELECT name, role, password FROM person", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    });
    let (name, role, password): (String, String, String) = row.expect("one person");
    assert_eq!((name.as_str(), role.as_str()), ("张三", "officer"));
    assert!(password.starts_with("$argon2id$"), "{password}");
}

#[test]
fn accounts_are_listed_mended_and_ended() {
    let folder = folder_with(&RIGHT.replace("[[phones]]", "[storage]\ndata = \".\"\n[[phones]]"));
    let user = |arguments: &[&str], input: &str| {
        let arguments = [&["user"], arguments, &["--config", "d.toml"]].concat();
        let done = dutyline(folder.path(), &arguments, input);
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    assert_eq!(user(&["add", "张三", "--login", "zhang"], "correct horse\n").0, Some(0));
    let (code, link, _) = user(&["link", "zhang"], "");
    assert_eq!(code, Some(0));
    assert!(link.starts_with("http://127.0.0.1:8080/first/"), "{link}");
    assert_eq!(user(&["password", "zhang"], "short\n").0, Some(1));
    assert_eq!(user(&["password", "zhang"], "battery staple\n").0, Some(0));
    let (_, role, _) = user(&["role", "zhang", "--role", "leader"], "");
    assert!(role.contains("带班领导"), "{role}");
    assert_eq!(user(&["disable", "zhang"], "").0, Some(0));
    let (_, list, _) = user(&["list"], "");
    assert_eq!(list.trim(), "zhang  张三  带班领导 · leader  已停用 · disabled");
    let (code, _, why) = user(&["link", "zhang"], "");
    assert_eq!(code, Some(1));
    assert!(why.contains("user list"), "{why}");
    assert_eq!(user(&["enable", "nobody"], "").0, Some(1));
    let (_, on, _) = user(&["enable", "zhang"], "");
    assert!(!on.contains("disabled"), "{on}");
}

#[test]
fn rec_e1_verify_names_what_was_altered_behind_the_logs_back() {
    let config = RIGHT.replace("[[phones]]", "[storage]\ndata = \".\"\n[[phones]]");
    let folder = folder_with(&config);
    let add = ["user", "add", "张三", "--config", "d.toml"];
    assert_eq!(dutyline(folder.path(), &add, "correct horse\n").status.code(), Some(0));
    let verify = |more: &[&str]| {
        dutyline(folder.path(), &[&["verify", "--config", "d.toml"], more].concat(), "")
    };
    let without = verify(&[]);
    assert_eq!(without.status.code(), Some(1), "there is no key yet: {without:?}");
    assert!(text(&without.stderr).contains("--key"), "{without:?}");
    let database = rusqlite::Connection::open(folder.path().join("dutyline.db")).expect("opened");
    let origin: String =
        database.query_row("SELECT origin FROM chain", [], |row| row.get(0)).expect("named");
    let key = dutyline::io::proof::key::SigningKey::load_or_make(folder.path(), &origin);
    let key = key.expect("made").public.to_string();
    fs::create_dir(folder.path().join("heads")).expect("made");
    for more in [&[][..], &["--key", &key]] {
        let sound = verify(more);
        assert_eq!(sound.status.code(), Some(0), "{sound:?}");
        assert!(text(&sound.stdout).contains("未发现改动"), "{sound:?}");
    }
    assert_eq!(verify(&["--key", "nonsense"]).status.code(), Some(1));
    database.execute_batch("UPDATE person SET role = 'admin'").expect("altered");
    let found = verify(&[]);
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let shown = text(&found.stdout);
    assert!(shown.contains("person [1]") && shown.contains("1 faults"), "{shown}");
}

#[test]
fn rec_e2_what_the_command_hands_out_is_checked_by_the_command_without_any_configuration() {
    use dutyline::duty::ids::CallId;
    use dutyline::duty::journal::{Arrival, Fact, Noted};
    use dutyline::io::clock;
    let config = RIGHT.replace("[[phones]]", "[storage]\ndata = \".\"\n[[phones]]");
    let folder = folder_with(&config);
    let database = folder.path().join("dutyline.db");
    let store = dutyline::io::store::Store::open(&database, clock::random()).expect("opened");
    let call = CallId::new(clock::now(), &mut clock::random());
    let arrival = Box::new(Arrival::from_number(call, "13800130007", "=1+1"));
    store.apply(&Noted { at: clock::now(), fact: Fact::Arrived(arrival) }).expect("written");
    let export = |more: &[&str]| {
        dutyline(folder.path(), &[&["export", "--config", "d.toml"], more].concat(), "")
    };
    let id = call.to_string();
    let unsigned = export(&[&id]);
    assert_eq!(unsigned.status.code(), Some(1), "the command makes no key: {unsigned:?}");
    assert!(text(&unsigned.stderr).contains("signing.key"), "{unsigned:?}");
    // The daemon runs.
    let origin = dutyline::io::store::wait(store.origin()).expect("named");
    dutyline::io::proof::key::SigningKey::load_or_make(folder.path(), &origin).expect("made");
    let done = export(&[&id]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let made = text(&done.stdout).trim().to_owned();
    let verify = |folder: &Path, made: &str| dutyline(folder, &["verify", made], "");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("copy");
    let from = folder.path().join(&made);
    fs::rename(from, &copy).expect("on the same disk");
    let sound = verify(elsewhere.path(), "copy");
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(text(&sound.stdout).contains("未发现改动"), "{sound:?}");
    assert!(text(&sound.stdout).contains("--key"), "it says whose key that was: {sound:?}");
    fs::write(copy.join("entries.csv"), "x").expect("altered");
    let altered = verify(elsewhere.path(), "copy");
    assert_eq!(altered.status.code(), Some(1), "{altered:?}");
    assert!(text(&altered.stdout).contains("entries.csv"), "{altered:?}");
    assert_eq!(verify(elsewhere.path(), "nowhere").status.code(), Some(1));
    assert_eq!(export(&["记-19990101-0001"]).status.code(), Some(1), "no such entry");
    let period = export(&["--from", "2026-01-01T00:00", "--to", "2036-01-01T00:00"]);
    assert_eq!(period.status.code(), Some(0), "{period:?}");
    assert_eq!(export(&["--from", "2026-01-01T00:00"]).status.code(), Some(2), "no end");
    drop(store);
}

#[test]
fn a_list_of_calls_with_none_of_ours_is_refused_and_a_backup_is_noted() {
    use dutyline::duty::ids::CallId;
    use dutyline::duty::journal::{Arrival, Fact, Noted};
    use dutyline::io::clock;
    let storage = "[storage]\ndata = \".\"\nrecordings = \".\"\n[[phones]]";
    let folder = folder_with(&RIGHT.replace("[[phones]]", storage));
    let database = folder.path().join("dutyline.db");
    let store = dutyline::io::store::Store::open(&database, clock::random()).expect("opened");
    let now = clock::now();
    let call = CallId::new(now, &mut clock::random());
    let arrival = Box::new(Arrival::from_number(call, "13800130007", ""));
    store.apply(&Noted { at: now, fact: Fact::Arrived(arrival) }).expect("written");
    let list = |caller: &str| {
        let at = now.wall.to_rfc3339();
        let row = format!("x,{caller},1001,4,5,6,7,8,9,{at},11,12,13,14,NO ANSWER\n");
        fs::write(folder.path().join("Master.csv"), row.repeat(3)).expect("written");
    };
    let run = |arguments: &[&str]| {
        dutyline(folder.path(), &[arguments, &["--config", "d.toml"]].concat(), "")
    };
    let count = |table: &str| -> i64 {
        let log = rusqlite::Connection::open(&database).expect("opened");
        let query = format!("SELECT count(*) FROM {table}");
        log.query_row(&query, [], |row| row.get(0)).expect("a number")
    };
    list("13900000002");
    let refused = run(&["reconcile", "Master.csv"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("没有一条与本机通话对得上"), "{refused:?}");
    let trial = run(&["reconcile", "Master.csv", "--trial"]);
    assert!(text(&trial.stdout).contains("没有一条与本机通话对得上"), "{trial:?}");
    assert_eq!((count("call_list"), count("entry")), (0, 1), "nothing is written");
    list("13800130007");
    let taken = run(&["reconcile", "Master.csv"]);
    assert_eq!(taken.status.code(), Some(0), "three rows of one call: {taken:?}");
    assert_eq!((count("call_list"), count("entry")), (1, 1));
    let done = run(&["backup", "kept"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(count("audit WHERE action = 'backup' AND object = 'kept'"), 1);
    drop(store);
}

#[test]
fn rec_e7_a_key_is_renewed_on_the_command_line_and_verify_says_which_signed_what() {
    use dutyline::io::clock;
    use dutyline::io::proof::key::SigningKey;
    use std::sync::Arc;
    let storage = "[storage]\ndata = \".\"\n[witness]\nfolder = \"away\"\n[[phones]]";
    let folder = folder_with(&RIGHT.replace("[[phones]]", storage));
    fs::create_dir(folder.path().join("away")).expect("made");
    let run = |arguments: &[&str]| {
        dutyline(folder.path(), &[arguments, &["--config", "d.toml"]].concat(), "")
    };
    let database = folder.path().join("dutyline.db");
    let store = dutyline::io::store::Store::open(&database, clock::random()).expect("opened");
    let early = run(&["key", "renew"]);
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    assert!(text(&early.stderr).contains("nothing was signed yet"), "{early:?}");
    let origin = dutyline::io::store::wait(store.origin()).expect("named");
    let key = Arc::new(SigningKey::load_or_make(folder.path(), &origin).expect("made"));
    dutyline::io::store::wait(store.sign_head(Arc::clone(&key), clock::now)).expect("signed");
    let first = key.public.to_string();
    let exported = run(&["export", "--from", "2026-01-01T00:00", "--to", "2026-01-02T00:00"]);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let handed = text(&exported.stdout).trim().to_owned();

    let done = run(&["key", "renew", "--reason", "例行更换"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let second = fs::read_to_string(folder.path().join("signing.pub")).expect("a key");
    let second = second.trim();
    assert!(text(&done.stdout).contains(&first) && text(&done.stdout).contains(second));
    for given in [&[][..], &["--key", &first], &["--key", second]] {
        let checked = run(&[&["verify"], given].concat());
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        let shown = text(&checked.stdout);
        assert!(shown.contains("heads 1 to 3") && shown.contains("heads from 4 on"), "{shown}");
    }
    let verify =
        |more: &[&str]| dutyline(folder.path(), &[&["verify", &handed], more].concat(), "");
    let codes = [&["--key", &first][..], &["--key", second], &["--key", second, "--heads", "away"]]
        .map(|more| verify(more).status.code());
    assert_eq!(codes, [Some(0), Some(1), Some(0)], "what was handed out before");

    fs::remove_file(folder.path().join("signing.key")).expect("lost");
    let unsigned = run(&["export", "--from", "2026-01-01T00:00", "--to", "2026-01-03T00:00"]);
    assert_eq!(unsigned.status.code(), Some(1));
    assert!(text(&unsigned.stderr).contains("key renew --lost"), "{unsigned:?}");
    assert_eq!(run(&["key", "renew", "--lost"]).status.code(), Some(2), "no reason");
    let done = run(&["key", "renew", "--lost", "--reason", "硬盘损坏"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let third = fs::read_to_string(folder.path().join("signing.pub")).expect("a key");
    let alone = run(&["verify", "--key", third.trim()]);
    assert_eq!(alone.status.code(), Some(0), "{alone:?}");
    assert!(text(&alone.stdout).contains("nobody vouches for it but the witness"), "{alone:?}");
    assert_eq!(run(&["verify", "--key", &first]).status.code(), Some(1));
    assert_eq!(run(&["verify", "--key", &first, "--key", third.trim()]).status.code(), Some(0));
    drop(store);
}
