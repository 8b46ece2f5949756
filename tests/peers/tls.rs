//! TLS to a real PBX: the right certificate, and every wrong one.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup};
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
const NAME: &str = "pbx.duty.test";

/// A certification authority of the site.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed"))
    }

    fn write(&self, folder: &Path, name: &str) -> String {
        let path = folder.join(name);
        fs::write(&path, self.0.pem()).expect("written");
        path.display().to_string()
    }

    /// Puts a certificate for the PBX into the folder; its fingerprint.
    fn issue(&self, folder: &Path, name: &str, expired: bool) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        fs::write(folder.join("cert.pem"), certificate.pem()).expect("written");
        fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
        let digest = Sha256::digest(certificate.der());
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

const WITH_TLS: Setup<'static> = Setup { algorithm: "MD5", port: None, with: &["TLS"] };

fn room() -> Option<(Room, Authority)> {
    if !crate::have(&["kamailio", "baresip"]) {
        return None;
    }
    if !crate::kamailio::has_module("tls.so") {
        println!("skipped: kamailio-tls-modules is not installed; tests/all installs it");
        let required = std::env::var("DUTYLINE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
        assert!(!required, "missing: kamailio-tls-modules; tests/all installs it");
        return None;
    }
    let authority = Authority::new();
    let room = Room::set_up_with(&WITH_TLS, |folder| {
        authority.issue(folder, NAME, false);
    })?;
    Some((room, authority))
}

fn pbx(room: &Room) -> String {
    format!("\"127.0.0.1:{}\"", room.ports.own(1))
}

/// Registered, called, spoken with and hung up over the one connection that we opened.
#[test]
fn sig_20_tls_with_the_right_certificate_carries_calls_both_ways() {
    let Some((room, authority)) = room() else { return };
    let far_end = FarEnd::start(&room.ports);
    let ca = authority.write(room.folder.path(), "ca.pem");
    let line = format!("domain = \"127.0.0.1\"\ntls_ca = \"{ca}\"\ntls_name = \"{NAME}\"");
    let (phones, pbx) = ([("9200", 20)], pbx(&room));
    let plan =
        Plan { phones: &phones, pbx: Some(&pbx), transport: "tls", line: &line, ..Plan::default() };
    let daemon = room.daemon(&plan);
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    assert!(invite.all("via").any(|via| via.starts_with("SIP/2.0/TLS")), "{invite:?}");
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM leg WHERE taken_ms IS NOT NULL"), "1");
}

/// The PBX forgets everything in the middle of a call: the two talk on, and either may hang up as soon as the line is
/// registered again, over a connection that nobody had before.
fn restarted_in_a_call(transport: &str, officer_hangs_up: bool) {
    let Some((mut room, authority)) = room() else { return };
    let far_end = FarEnd::start(&room.ports);
    let ca = authority.write(room.folder.path(), "ca.pem");
    let line = format!("domain = \"127.0.0.1\"\ntls_ca = \"{ca}\"\ntls_name = \"{NAME}\"");
    let (tls, phones) = (pbx(&room), [("9200", 20)]);
    let plan = match transport {
        "tls" => Plan { pbx: Some(&tls), line: &line, ..Plan::default() },
        _ => Plan::default(),
    };
    let daemon = room.daemon(&Plan { phones: &phones, transport, ..plan });
    let mut caller = TrunkCaller::new(&room.ports, "13800130051");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    daemon.row_is("SELECT state FROM call", "in_call");
    let before = room.pbx.count("REGISTER 1001");
    room.pbx.stop();
    daemon.row("SELECT why FROM outage WHERE kind = 'line' AND to_ms IS NULL");
    let mut voice = Voice::new(51);
    caller.media.set_read_timeout(Some(SOON)).expect("a timeout");
    far_end.media.send_to(&voice.packet(&[0x51; 160]), invite.media()).expect("sent");
    let mut heard = [0; 1500];
    caller.media.recv(&mut heard).expect("the two hear each other without a PBX");
    room.pbx = Kamailio::set_up(room.folder.path(), &room.ports, &WITH_TLS);
    let back = Instant::now();
    wait_until("the registration", Duration::from_secs(35), || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    println!("{transport}: registered {} ms after the PBX's return", back.elapsed().as_millis());
    if officer_hangs_up {
        far_end.hangs_up(&invite);
        caller.is_hung_up();
    } else {
        caller.hang_up();
        far_end.is_let_go();
    }
    let by = if officer_hangs_up { "officer" } else { "caller" };
    daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", &format!("answered {by}"));
    daemon.row_is("SELECT state FROM recording", "sealed");
}

#[test]
fn rel_21_a_call_outlives_a_restart_of_the_pbx_over_tls() {
    restarted_in_a_call("tls", false);
    restarted_in_a_call("tls", true);
}

#[test]
fn rel_21_a_call_outlives_a_restart_of_the_pbx_over_tcp() {
    restarted_in_a_call("tcp", false);
    restarted_in_a_call("tcp", true);
}

/// The certificate expires, is for somebody else, is from another authority, has another
/// fingerprint: refused, told in both languages, and nothing goes out unprotected.
#[test]
fn rel_34_and_sig_20_a_wrong_certificate_is_refused_with_a_reason() {
    let Some((mut room, authority)) = room() else { return };
    let (folder, pbx) = (room.folder.path().to_owned(), pbx(&room));
    let ca = authority.write(&folder, "ca.pem");
    let stranger = Authority::new().write(&folder, "stranger.pem");
    let other_pin = "00:".repeat(31) + "00";
    let by_ca = |file: &str| format!("tls_ca = \"{file}\"\ntls_name = \"{NAME}\"");
    let cases = [
        ("expired", NAME, true, by_ca(&ca), "已过期"),
        ("other-name", "pbx.elsewhere.test", false, by_ca(&ca), NAME),
        ("other-authority", NAME, false, by_ca(&stranger), "CA"),
        ("other-pin", NAME, false, format!("tls_pins = [\"{other_pin}\"]"), "指纹"),
    ];
    for (case, name, expired, keys, says) in cases {
        room.pbx.stop();
        authority.issue(&folder, name, expired);
        room.pbx = Kamailio::set_up(&folder, &room.ports, &WITH_TLS);
        let line = format!("domain = \"127.0.0.1\"\n{keys}");
        let plan = Plan { pbx: Some(&pbx), transport: "tls", line: &line, ..Plan::default() };
        let own = folder.join(case);
        fs::create_dir_all(&own).expect("a folder");
        let mut daemon = Daemon::spawn(&own, &room.ports, &plan);
        let why = daemon.row("SELECT why FROM outage WHERE kind = 'line' AND status = 503");
        assert!(why.starts_with("TLS") && why.contains(says), "{case}: {why}");
        // The page's alarm says the same.
        daemon.process.wait_for(says, SOON);
        println!("{case}: {why}");
        assert_eq!(daemon.process.stop(SOON), 0);
    }
    assert_eq!(room.pbx.count("REGISTER 1001"), 0, "no silent way around");
}

/// A renewed certificate of the same authority is taken without a restart of ours; a pinned one is
/// taken for its fingerprint alone.
#[test]
fn rel_34_a_rotated_certificate_works() {
    let Some((mut room, authority)) = room() else { return };
    let (folder, pbx) = (room.folder.path().to_owned(), pbx(&room));
    room.pbx.stop();
    let (old, new) = (authority.issue(&folder, "old.test", false), Authority::new());
    let issued = [fs::read(folder.join("cert.pem")), fs::read(folder.join("key.pem"))];
    let renewed = new.issue(&folder, "new.test", false);
    let renewed_files = [fs::read(folder.join("cert.pem")), fs::read(folder.join("key.pem"))];
    let install = |files: &[std::io::Result<Vec<u8>>; 2]| {
        for (name, bytes) in ["cert.pem", "key.pem"].iter().zip(files) {
            fs::write(folder.join(name), bytes.as_ref().expect("read")).expect("written");
        }
    };
    install(&issued);
    room.pbx = Kamailio::set_up(&folder, &room.ports, &WITH_TLS);
    let line = format!("domain = \"127.0.0.1\"\ntls_pins = [\"{old}\", \"{renewed}\"]");
    let plan = Plan { pbx: Some(&pbx), transport: "tls", line: &line, ..Plan::default() };
    let daemon = room.daemon(&plan);
    let before = room.pbx.count("REGISTER 1001");
    room.pbx.stop();
    install(&renewed_files);
    daemon.row("SELECT why FROM outage WHERE kind = 'line' AND to_ms IS NULL");
    room.pbx = Kamailio::set_up(&folder, &room.ports, &WITH_TLS);
    wait_until("the registration under the new certificate", Duration::from_secs(35), || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL", "1");
}
