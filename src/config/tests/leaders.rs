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
    let after = load(RIGHT).expect("right").config.policy.after.expect("by default");
    assert_eq!(after.remind, [300, 600].map(Duration::from_secs));
    let of = |keys: &str| load(&format!("{RIGHT}\n[escalation]\n{keys}\n"));
    let own = "remind_seconds = [60]\nraise_again_seconds = 120\nconfirm_seconds = 60";
    let after = of(own).expect("right").config.policy.after.expect("wanted");
    assert_eq!(after.remind, [Duration::from_secs(60)]);
    assert_eq!(after.raise_again, Duration::from_secs(120));
    assert!(of("follow_up = false").expect("right").config.policy.after.is_none());
    for (wrong, field) in [
        ("remind_seconds = [900]", "escalation.raise_again_seconds"),
        ("remind_seconds = 60", "escalation.remind_seconds"),
        ("remind_seconds = [600, 300]", "escalation.remind_seconds"),
        ("remind_seconds = [1]", "escalation.remind_seconds"),
        ("confirm_seconds = 5", "escalation.confirm_seconds"),
    ] {
        let faults = of(wrong).expect_err("a fault");
        let fields: Vec<_> = faults.list.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [field], "{wrong}: {faults}");
    }
}
