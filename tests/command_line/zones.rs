//! 北京时间, whatever zone the server is in (esc_67).

use super::{RIGHT, folder_with, text};
use std::path::Path;
use std::process::Command;

fn said_in(zone: &str, folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
    command.args(arguments).current_dir(folder).env("TZ", zone);
    command.env_remove("DUTYLINE_CONFIG").env_remove("DUTYLINE_LINE_PASSWORD");
    let done = command.output().expect("started");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    text(&done.stdout)
}

/// On the night in which New York has an hour twice, a version of the policy comes into force.
#[test]
fn esc_67_a_time_line_and_a_version_are_beijings_whatever_the_servers_zone() {
    let later = "[[escalation.later]]\nfrom = \"2026-11-01 14:00\"\nname = \"冬季值班\"\n";
    let folder = folder_with(&format!("{RIGHT}{later}"));
    let rehearsed = ["policy", "simulate", "--config", "d.toml", "--at", "13:30"];
    let checked = ["policy", "check", "--config", "d.toml"];
    let here = [rehearsed.as_slice(), &checked]
        .map(|asked| said_in("Asia/Shanghai", folder.path(), asked));
    assert!(here[0].contains("13:30:00"), "{}", here[0]);
    for zone in ["UTC", "America/New_York"] {
        let there =
            [rehearsed.as_slice(), &checked].map(|asked| said_in(zone, folder.path(), asked));
        assert_eq!(there, here, "{zone}");
    }
}
