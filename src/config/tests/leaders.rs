//! Who is called in an urgent matter, and what follows on his acknowledgement.

use super::*;

#[test]
fn esc_14_a_leader_may_have_a_pin_in_a_file_of_its_own_and_a_rank() {
    let leader = &load(RIGHT).expect("right").config.roster.people[0];
    assert_eq!((leader.rank, leader.pin.is_some()), (2, false), "by his role");
    let folder = tempfile::tempdir().expect("a folder");
    let with = |digits: &str| {
        let path = folder.path().join("pin");
        std::fs::write(&path, digits).expect("written");
        let more = format!(
            "[[leaders]]\nname = \"乙\"\nrole = \"head\"\nmobile = \"4\"\nrank = 3\npin_file = \"{}\"\n",
            path.display()
        );
        load(&(RIGHT.to_string() + "\n" + &more))
    };
    let people = with("4711\n").expect("right").config.roster.people;
    let head = people.last().expect("one");
    assert!(head.pin.as_ref().is_some_and(|pin| pin.is("4711")) && head.rank == 3);
    for wrong in ["471", "47a1", "", "1234567890123"] {
        let faults = with(wrong).expect_err("a fault");
        let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["leaders[1].pin_file"], "{wrong}: {faults}");
    }
}

#[test]
fn esc_77_what_follows_on_an_acknowledgement_is_configured_and_may_be_done_without() {
    let after = load(RIGHT).expect("right").config.policy.first.figures.after.expect("by default");
    assert_eq!(after.remind, [300, 600].map(Duration::from_secs));
    let of = |keys: &str| load(&format!("{RIGHT}\n[escalation]\n{keys}\n"));
    let own = "remind_seconds = [60]\nraise_again_seconds = 120\nconfirm_seconds = 60";
    let after = of(own).expect("right").config.policy.first.figures.after.expect("wanted");
    assert_eq!(after.remind, [Duration::from_secs(60)]);
    assert_eq!(after.raise_again, Duration::from_secs(120));
    assert!(of("follow_up = false").expect("right").config.policy.first.figures.after.is_none());
    for (wrong, field) in [
        ("remind_seconds = [900]", "escalation.raise_again_seconds"),
        ("remind_seconds = 60", "escalation.remind_seconds"),
        ("remind_seconds = [600, 300]", "escalation.remind_seconds"),
        ("remind_seconds = [1]", "escalation.remind_seconds"),
        ("confirm_seconds = 5", "escalation.confirm_seconds"),
    ] {
        let Loaded { config, set_aside, .. } = of(wrong).expect("the rest is right");
        let fields: Vec<_> = set_aside.list.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [field], "{wrong}: {set_aside}");
        assert!(config.policy.first.is_unreadable());
    }
}

#[test]
fn esc_82_later_versions_stand_in_the_file_each_with_its_time_and_its_own_figures() {
    let own = r#"
[escalation]
name = "今年"
ring_seconds = 25
[[escalation.later]]
from = "2027-01-01 00:00:30"
approved_by = "王主任"
open_too = true
[[escalation.later]]
from = "2026-12-01 08:00"
[[escalation.later.urgent]]
role = "leader"
lasts_seconds = 100
calls = [{ line = "mobile" }]
"#;
    let of = |text: &str| load(&format!("{RIGHT}{text}"));
    let versions = of(own).expect("right").config.policy;
    let from = versions.later.iter().map(|one| one.from.expect("a time").to_rfc3339());
    let wanted = ["2026-12-01T00:00:00+00:00", "2026-12-31T16:00:30+00:00"];
    assert_eq!(from.collect::<Vec<_>>(), wanted, "in Beijing, by their time");
    assert_eq!(versions.first.name, "今年");
    assert_eq!(versions.first.text, "[escalation]\nname = \"今年\"\nring_seconds = 25\n");
    let [winter, new_year] = &versions.later[..] else { panic!("{versions:?}") };
    assert_eq!(winter.figures.ring.as_secs(), 35, "a default, not what the first one says");
    assert_eq!((winter.figures.urgent.tiers.len(), winter.open_too), (1, false));
    assert!(winter.text.ends_with("calls = [{ line = \"mobile\" }]\n"), "{}", winter.text);
    assert_eq!((new_year.approved_by.as_str(), new_year.open_too), ("王主任", true));
    for (from, to, field) in [
        ("from = \"2026-12-01 08:00\"", "", "escalation.later[1].from"),
        ("\"2026-12-01 08:00\"", "\"2026-12-01\"", "escalation.later[1].from"),
        ("\"2026-12-01 08:00\"", "\"2027-01-01 00:00:30\"", "escalation.later[1].from"),
        ("lasts_seconds = 100", "lasts_seconds = 1", "escalation.later[1].urgent[0].lasts_seconds"),
        ("open_too = true", "open = true", "escalation.later[0].open"),
    ] {
        let Loaded { config, set_aside, .. } = of(&own.replacen(from, to, 1)).expect("the rest");
        let found: Vec<_> = set_aside.list.iter().map(|fault| fault.field.as_str()).collect();
        assert!(found.contains(&field), "{from} as {to}: {found:?}");
        let unreadable: Vec<_> =
            config.policy.all().filter(|version| version.is_unreadable()).collect();
        let [one] = unreadable[..] else { panic!("{from} as {to}: {unreadable:?}") };
        assert!(one.found.iter().any(|said| said.en.starts_with(field)), "{:?}", one.found);
    }
    let minute = |nth| format!("[[escalation.later]]\nfrom = \"2026-12-01 08:{nth:02}\"\n");
    let many: String = (0..55).map(minute).collect();
    for (text, field, kept) in [
        (
            format!("{RIGHT}[escalation.later]\nfrom = \"2026-12-01 08:00\"\n"),
            "escalation.later",
            0,
        ),
        (format!("escalation = 3\n{RIGHT}"), "escalation", 0),
        (format!("{RIGHT}{many}"), "escalation.later", 50),
    ] {
        let Loaded { config, set_aside, .. } = load(&text).expect("the rest is right");
        let found: Vec<_> = set_aside.list.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(found, [field]);
        let read = config.policy.later.iter().filter(|version| !version.is_unreadable());
        assert_eq!(read.count(), kept, "{field}");
    }
}

#[test]
fn esc_82_a_later_version_that_cannot_work_is_refused_and_the_others_are_not() {
    let own = r#"
[[escalation.later]]
from = "2026-12-01 08:00"
[[escalation.later.urgent]]
role = "leader"
lasts_seconds = 100
calls = [{ line = "mobile" }]
[[escalation.later.urgent]]
role = "office_director"
lasts_seconds = 100
calls = [{ line = "mobile" }]
"#;
    let versions = load(&format!("{RIGHT}{own}")).expect("read").config.policy;
    assert!(versions.later[0].is_refused(), "there is no office director: {versions:?}");
    let at = "2027-01-01T00:00:00Z".parse().expect("a time");
    assert_eq!(versions.in_force(at), &versions.first);
}
