//! What is asked of the daemon, and how it speaks on the terminal.

#![warn(clippy::too_many_lines)]

mod arguments;
mod users;

use anyhow::{Context, anyhow, bail};
use arguments::{
    Arguments, Command, ConfigFile, Demo, Export, HowUrgent, Key, LogFormat, Policy, Renew,
    Simulate, Trace, User, Verify,
};
use clap::Parser;
use dutyline::config::{Config, Environment, Heartbeat, Loaded, Purpose};
use dutyline::demo::DemoOptions;
use dutyline::duty::journal::Urgency;
use dutyline::duty::rehearsal::{Finding, Plan, simulate};
use dutyline::duty::roster::Roster;
use dutyline::io::copies::place::Place;
use dutyline::io::kept::Places;
use dutyline::io::ladder::print;
use dutyline::io::policies::{self, Source};
use dutyline::io::proof::order::Order;
use dutyline::io::proof::signer::Signer;
use dutyline::io::proof::{PublicKey, handed, renewal, verify, witness};
use dutyline::io::reindex::{self, Progress};
use dutyline::io::store::{Absent, Scope, Sounds, Store, wait};
use dutyline::io::{backup, beside, call_list, clock, host, owner, prompts, rehearsal as shown};
use dutyline::protocol::now::{Mono, Now};
use std::fs::DirBuilder;
use std::io::{ErrorKind, IsTerminal, stderr, stdout};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// How often work that takes its time says how far it is.
const TELL: Duration = Duration::from_secs(1);
/// Exit code for a configuration that is not right.
const MISCONFIGURED: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(fault) = log_to_stderr(&arguments) {
        eprintln!("--log {}: {fault}", arguments.log.unwrap_or_default());
        return ExitCode::from(MISCONFIGURED);
    }
    let done = match arguments.command {
        Command::Run(file) => with_config(Purpose::Serve, &file, |config| run(&file, config)),
        Command::Witness(file) => with_config(Purpose::Serve, &file, watch),
        Command::Demo(Demo { once, web_port, keep }) => runtime().and_then(|runtime| {
            runtime.block_on(dutyline::demo::run(DemoOptions { once, web_port, keep }))
        }),
        Command::CheckConfig(file) => {
            with_config(Purpose::Check, &file, |config| judge(&file, &config, true))
        }
        Command::Prompts { folder } => hand_out_prompts(&folder),
        Command::Policy(Policy::Check(file)) => {
            administer(&file, |config| judge(&file, &config, false))
        }
        Command::Policy(Policy::Simulate(plan)) => {
            administer(&plan.file, |config| rehearse(&plan, &config))
        }
        Command::Trace(trace) => administer(&trace.file, |config| show(&trace, &config)),
        Command::User(user) => administer(user.file(), |config| {
            let store = match user {
                User::Add(_) => beside::open_or_make(&config)?,
                _ => beside::open(&config)?,
            };
            users::run(&user, &store, config.web.listen)
        }),
        Command::Verify(wanted) => match &wanted.folder {
            Some(folder) => check_folder(folder, &wanted),
            None => administer(&wanted.file, |config| check(&wanted, &config)),
        },
        Command::Reconcile(wanted) => administer(&wanted.file, |config| {
            let store = beside::open(&config)?;
            let report = call_list::import(&wanted.list, &config, &store, wanted.trial)?;
            print!("{}", report.text);
            Ok(if report.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
        Command::Backup(wanted) => administer(&wanted.file, |config| {
            let report = backup::back_up(&config, &beside::open(&config)?, &wanted.into)?;
            report.faults.iter().for_each(|fault| eprintln!("{fault}"));
            println!("{} 个录音文件 · recordings and tapes copied", report.files);
            let whole = report.faults.is_empty();
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
        Command::Key(Key::Renew(wanted)) => {
            administer(&wanted.file, |config| renew(&wanted, &config))
        }
        Command::Export(wanted) => administer(&wanted.file, |config| export(&wanted, &config)),
        Command::Reindex(file) => administer(&file, make_again),
    };
    done.unwrap_or_else(|fault| {
        eprintln!("{fault:#}");
        ExitCode::FAILURE
    })
}

/// The policy is judged with the configuration; `summed_up`: what the configuration says is shown.
fn judge(file: &ConfigFile, config: &Config, summed_up: bool) -> anyhow::Result<ExitCode> {
    let watches = config.heartbeat.as_ref().is_some_and(Heartbeat::watches);
    let mut refused = false;
    for version in config.policy.all().filter(|_| !watches) {
        // What cannot be read was shown where it stands.
        if !version.is_unreadable() {
            shown::findings(&mut stderr().lock(), version)?;
        }
        refused |= version.is_refused();
    }
    if summed_up {
        for found in host::findings(&config.storage) {
            shown::finding(&mut stderr().lock(), &found)?;
            refused |= found.refused;
        }
    }
    if refused {
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    println!("{}: 正确 · ok", file.config.display());
    if summed_up {
        print!("{}", config.summary());
    } else {
        shown::versions(&mut stdout().lock(), &config.policy, clock::now().wall)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn hand_out_prompts(folder: &Path) -> anyhow::Result<ExitCode> {
    let count = prompts::hand_out(folder)?;
    println!(
        "{}: {count} 句，文字在 sentences.txt。重录后在设置文件写 [prompts] folder · sentences, their words in sentences.txt; say them anew, then set [prompts] folder",
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn rehearse(plan: &Simulate, config: &Config) -> anyhow::Result<ExitCode> {
    let now = clock::now();
    let start = Now { wall: shown::next_at(plan.at, now.wall), ..now };
    let roster = roster_at(config, start);
    let phones = shown::phones(&plan.phones, &roster).map_err(anyhow::Error::msg)?;
    let version = config.policy.in_force(start.wall);
    if version.is_unreadable() {
        eprintln!("那时没有可用的呼叫顺序 · no policy can be used at that time");
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    let urgency = match plan.urgency {
        HowUrgent::Urgent => Urgency::Urgent,
        HowUrgent::Critical => Urgency::Critical,
    };
    let events = simulate(&Plan {
        policy: &version.figures,
        roster: &roster,
        urgency,
        phones: &phones,
        start,
        lasts: Duration::from_secs(60 * plan.minutes),
    });
    shown::time_line(&mut stdout().lock(), urgency, &events, start.wall)?;
    Ok(ExitCode::SUCCESS)
}

/// As the log has it; where there is none, or none that can be read, the list of the configuration.
fn roster_at(config: &Config, at: Now) -> Roster {
    let database = config.storage.data.join("dutyline.db");
    if !database.exists() {
        eprintln!(
            "没有值班记录，按设置文件的 [[leaders]] 推演 · there is no log: by [[leaders]] alone"
        );
        return config.roster.clone();
    }
    Store::roster_at(&database, &config.roster, at).unwrap_or_else(|error| {
        let (zh, en) = error.remedy();
        eprintln!(
            "值班记录读不出，按设置文件的 [[leaders]] 推演：{zh} · the log cannot be read, by [[leaders]] alone: {en}"
        );
        config.roster.clone()
    })
}

/// A policy that cannot work is shown, and the telephone starts all the same; but not where nothing says whom to call.
fn run(file: &ConfigFile, mut config: Config) -> anyhow::Result<ExitCode> {
    if config.heartbeat.as_ref().is_some_and(Heartbeat::watches) {
        eprintln!("这是看守主机的设置，请用 dutyline witness · of a witness: dutyline witness");
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    if !policies::settle(&mut config) {
        eprintln!(
            "没有可用的呼叫顺序，值班记录里也没有可用的上一版；请先改好 [escalation] · no policy can be used, and the log has no earlier one that can: mend [escalation]"
        );
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    for Finding { zh, en, .. } in &config.policy.first.found {
        tracing::warn!(%zh, %en, "the escalation policy has a weak point");
    }
    let source = Source { path: file.config.clone(), environment: environment() };
    runtime()?.block_on(dutyline::daemon::run(config, source))?;
    Ok(ExitCode::SUCCESS)
}

fn watch(config: Config) -> anyhow::Result<ExitCode> {
    if !config.heartbeat.as_ref().is_some_and(Heartbeat::watches) {
        eprintln!(
            "[heartbeat] 没有 listen 和 desk，这不是看守主机的设置 · [heartbeat] has neither listen nor desk: not of a witness"
        );
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    runtime()?.block_on(dutyline::daemon::witness::run(config))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("no runtime")
}

fn show(trace: &Trace, config: &Config) -> anyhow::Result<ExitCode> {
    let store = beside::open(config)?;
    let calls = wait(store.calls_named(&trace.id))?;
    if calls.is_empty() {
        bail!("没有这样的记录或通话 · no entry or call is named {:?}", trace.id);
    }
    let tame = stdout().is_terminal();
    let mut out = stdout().lock();
    for call in calls {
        let ladder = wait(store.ladder(call.call))?;
        let voices = wait(store.voices(call.call))?;
        if trace.raw {
            print::raw(&mut out, &call, &ladder, tame)?;
        } else {
            print::drawn(&mut out, &call, &ladder)?;
        }
        print::voices(&mut out, &voices)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn export(wanted: &Export, config: &Config) -> anyhow::Result<ExitCode> {
    let store = beside::open(config)?;
    let scope = match (&wanted.entry, wanted.from, wanted.to) {
        (Some(named), ..) => {
            let found = wait(store.entry_named(named))?;
            let found =
                found.with_context(|| format!("没有这样的记录 · no entry is named {named:?}"))?;
            if wanted.alone { Scope::Entry(found) } else { Scope::Matter(found) }
        }
        (None, Some(from), Some(to)) if from < to => Scope::Period(from, to),
        _ => bail!("--from 要早于 --to · --from must be before --to"),
    };
    let signer = Signer::new(&config.storage.data, wait(store.origin())?, store.clone());
    let key = signer.key_now(false)?.key;
    let places = Places {
        recordings: config.storage.recordings.clone(),
        copies: config.storage.copies.as_ref().map(Place::of),
        spare: config.storage.low_space,
    };
    let (store, who, now) = (&store, None, clock::now());
    let sounds = if wanted.redacted { Sounds::RedactedOnly } else { Sounds::All };
    let order = Order { store, places, key, who, scope, sounds, now };
    let draft = runtime()?.block_on(order.draft())?.context("没有这样的记录 · no such entry")?;
    let into = DirBuilder::new().recursive(true).mode(0o700).create(&wanted.into);
    into.with_context(|| format!("--into {}", wanted.into.display()))?;
    let mut checked = Megabytes::of("已核对 · checked", draft.bytes());
    let bundle = draft.bundle(&mut |done| {
        checked.are(done);
        true
    })?;
    let (mut written, mut done) = (Megabytes::of("已写出 · written", bundle.bytes()), 0);
    let folder = bundle
        .write_telling(&wanted.into, &mut |piece| {
            done += piece;
            written.are(done);
        })
        .map_err(|fault| match fault.kind() {
            ErrorKind::AlreadyExists => anyhow!(
                "已存在，请移走，或用 --into 换一个文件夹 · is there already: move it away, or name another folder with --into"
            ),
            _ => fault.into(),
        })
        .with_context(|| format!("{}", wanted.into.join(&bundle.name).display()))?;
    wait(store.handed_out(who, (scope, sounds), clock::now()))?;
    println!("{}", folder.display());
    for Absent { file, reason, .. } in &bundle.damaged {
        eprintln!("缺失或损坏，未附 · damaged or gone, and not in it: {file} ({reason})");
    }
    Ok(if bundle.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Said once in a while, for who waits.
struct Megabytes {
    what: &'static str,
    all: u64,
    said: Mono,
}

impl Megabytes {
    fn of(what: &'static str, bytes: u64) -> Self {
        Self { what, all: bytes / 1_000_000, said: clock::mono() }
    }

    fn are(&mut self, bytes: u64) {
        let now = clock::mono();
        if now.since(self.said) >= TELL {
            self.said = now;
            eprintln!("{} {} / {} MB", self.what, bytes / 1_000_000, self.all);
        }
    }
}

fn make_again(config: Config) -> anyhow::Result<ExitCode> {
    owner::be_the_owner(&config.storage.data, "reindex")?;
    let store = beside::open(&config)?;
    let mut shown = clock::mono();
    let report = reindex::run(&config, &store, &mut |progress| {
        let now = clock::mono();
        if now.since(shown) >= TELL {
            shown = now;
            match progress {
                Progress::Index(done, all) => eprintln!("{done} / {all} 条记录 · entries"),
                Progress::Recordings(done) => eprintln!("{done} 份录音 · recordings"),
            }
        }
        true
    })?;
    print!("{report}");
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn renew(wanted: &Renew, config: &Config) -> anyhow::Result<ExitCode> {
    owner::be_the_owner(&config.storage.data, "key renew")?;
    let store = beside::open(config)?;
    let renewing = renewal::Wanted {
        data: config.storage.data.clone(),
        folders: config.witness.folder.iter().cloned().collect(),
        lost: wanted.lost,
        old: wanted.old.as_deref().map(public_key).transpose()?,
        reason: wanted.reason.as_deref().unwrap_or_default().trim().to_owned(),
    };
    let done = runtime()?.block_on(renewing.renew(&store))?;
    for folder in &done.unsent {
        eprintln!("未存到，值班服务会再送 · not sent, the daemon will again: {folder}");
    }
    print!("{done}");
    Ok(ExitCode::SUCCESS)
}

fn public_key(text: &str) -> anyhow::Result<PublicKey> {
    PublicKey::parse(text).with_context(|| format!("{text:?}: 不是公钥 · no public key"))
}

fn trusted(wanted: &Verify) -> anyhow::Result<Vec<PublicKey>> {
    wanted.key.iter().map(|text| public_key(text)).collect()
}

fn check_folder(folder: &Path, wanted: &Verify) -> anyhow::Result<ExitCode> {
    let mut known = witness::Copies::default();
    for heads in &wanted.heads {
        let found = witness::copies(heads).with_context(|| format!("{}", heads.display()))?;
        known.renewals.extend(found.renewals);
        known.notes.extend(found.notes);
    }
    let found = handed::check_by(folder, &trusted(wanted)?, known)
        .with_context(|| format!("{}", folder.display()))?;
    print!("{found}");
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(wanted: &Verify, config: &Config) -> anyhow::Result<ExitCode> {
    beside::log(config)?;
    let wanted = verify::Wanted {
        data: config.storage.data.clone(),
        recordings: config.storage.recordings.clone(),
        folders: config.witness.folder.iter().cloned().collect(),
        copies: wanted.heads.clone(),
        keys: trusted(wanted)?,
    };
    let report = wanted.check()?;
    print!("{report}");
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As [`with_config`], for whoever does not need the line's password.
fn administer(
    file: &ConfigFile,
    next: impl FnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    with_config(Purpose::Administer, file, next)
}

/// Goes on with the checked configuration; its warnings, or else its faults, are printed.
fn with_config(
    purpose: Purpose,
    file: &ConfigFile,
    next: impl FnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match Config::load_to(purpose, &file.config, &environment()) {
        Ok(Loaded { config, set_aside, warnings }) => {
            if !set_aside.is_empty() {
                eprintln!(
                    "呼叫顺序有错，不会生效 · faults of the policy, never in force\n{set_aside}"
                );
            }
            if !warnings.is_empty() {
                eprintln!("警告 · warning\n{warnings}");
            }
            next(config)
        }
        Err(faults) => {
            eprint!("{faults}");
            let count = faults.list.len();
            eprintln!("{count} 处错误 · {count} fault{}", if count == 1 { "" } else { "s" });
            Ok(ExitCode::from(MISCONFIGURED))
        }
    }
}

fn environment() -> Environment {
    let utf8 = |(key, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((key.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(utf8).collect()
}

fn log_to_stderr(arguments: &Arguments) -> Result<(), tracing_subscriber::filter::ParseError> {
    let usual = if matches!(arguments.command, Command::Demo(_)) { "warn" } else { "info" };
    let filter = EnvFilter::try_new(arguments.log.as_deref().unwrap_or(usual))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match arguments.log_format {
        LogFormat::Human => lines.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
