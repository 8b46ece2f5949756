//! Arguments: what is asked of the daemon, and how it speaks on the terminal.

#![warn(clippy::too_many_lines)]

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeZone, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use dutyline::config::{Config, Environment, Loaded};
use dutyline::demo::DemoOptions;
use dutyline::duty::entry::beijing;
use dutyline::duty::journal::Urgency;
use dutyline::duty::rehearsal::{self, Finding, Plan, simulate};
use dutyline::io::ladder::print;
use dutyline::io::proof::bundle::Order;
use dutyline::io::proof::key::SigningKey;
use dutyline::io::proof::{PublicKey, handed, verify};
use dutyline::io::store::{Account, Added, NewPerson, Scope, Store, wait};
use dutyline::io::{backup, call_list, clock, rehearsal as shown, terminal};
use dutyline::protocol::now::Now;
use std::io::{IsTerminal, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// The daemon behind a duty room's telephone: answers, logs, records, escalates.
/// 值班电话守护程序：接听、记录、录音、紧急呈报。
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// How log lines are written to standard error. 日志格式
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log_format: LogFormat,
    /// What is logged, such as `info` or `dutyline::io=debug`; `info` unless given, `warn` for the
    /// demo. 日志级别
    #[arg(long, global = true, env = "DUTYLINE_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon until SIGTERM or Ctrl+C. 运行
    Run(ConfigFile),
    /// Show the daemon at work, with a small PBX and telephones of its own. 演示
    ///
    /// Everything is on loopback and in a temporary folder; nothing is left behind. The page has a
    /// button that makes a call come in.
    Demo(Demo),
    /// Check a configuration without starting anything. 检查设置文件
    ///
    /// Names every fault at once with its line and its remedy. Exit code 0: it is right; 2: it is
    /// not.
    CheckConfig(ConfigFile),
    /// Show the SIP messages of a call. 查看一次通话的信令
    ///
    /// Works while the daemon runs. Exit code 1 where no call is named so.
    Trace(Trace),
    /// Try the escalation policy before it is needed. 紧急呈报的检查和推演
    #[command(subcommand)]
    Policy(Policy),
    /// Accounts for the page. 账号
    #[command(subcommand)]
    User(User),
    /// Check that nothing was altered, taken out or put in behind the log's back. 核验防篡改
    ///
    /// Only reads, and works while the daemon runs. Exit code 0: everything is as it was written;
    /// 1: something is not, and is named; 2: the configuration is wrong.
    Verify(Verify),
    /// Hand out an entry or a period with its recordings and proofs, as a folder. 导出取证包
    ///
    /// Works while the daemon runs; each time is noted in the audit. `verify FOLDER` checks it on
    /// any machine.
    Export(Export),
    /// Compare the PBX's list of calls (CSV) with the log. 话单核对
    ///
    /// What never reached the daemon and nobody answered becomes an entry that is to be called back.
    /// Exit code 1 where something was not recorded or was missed.
    Reconcile(Reconcile),
    /// Copy log, key and recordings into a new folder while the daemon works. 备份
    ///
    /// Every recording is read back. Exit code 1 where one is not what the log says.
    Backup(Backup),
}

#[derive(Args)]
struct Backup {
    /// The new folder; on a new host, `data` and `recordings` in it are those of [storage]. 放到哪里
    into: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Args)]
struct Reconcile {
    /// The list, as Asterisk writes it or as [call_list] says. 话单
    list: PathBuf,
    /// Show only, write nothing. 只看不写
    #[arg(long)]
    trial: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file. 设置文件
    #[arg(long, env = "DUTYLINE_CONFIG", default_value = "config/dutyline.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Demo {
    /// Play one urgent call by itself and check its result: exit code 0 if it is right. 自动演示一次
    #[arg(long)]
    once: bool,
    /// Port of the page; a free one unless given. 页面端口
    #[arg(long)]
    web_port: Option<u16>,
    /// Keep the temporary folder with the log and the recordings. 保留数据
    #[arg(long)]
    keep: bool,
}

#[derive(Args)]
struct Trace {
    /// Entry id or number (记-…), call id or number (电-…), or SIP Call-ID. 记录号、通话号或 Call-ID
    id: String,
    /// The messages themselves, as they were on the wire but for credentials. 报文原文
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Args)]
struct Export {
    /// Entry id or number (记-…). 记录号
    #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    entry: Option<String>,
    /// Beginning of a period, such as 2026-10-03T21:00, in Beijing time. 起
    #[arg(long, requires = "to", value_parser = moment)]
    from: Option<DateTime<Utc>>,
    /// Its end. 止
    #[arg(long, requires = "from", value_parser = moment)]
    to: Option<DateTime<Utc>>,
    /// Where the new folder is made. 放在哪个文件夹里
    #[arg(long, default_value = ".")]
    into: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Args)]
struct Verify {
    /// What was handed out, unpacked; unless given, the log itself. 导出的文件夹
    folder: Option<PathBuf>,
    /// A folder to which signed heads were sent, besides that of the configuration. 见证文件夹
    #[arg(long)]
    heads: Vec<PathBuf>,
    /// The public key, kept where this host cannot change it. 公钥（另处保存的）
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Subcommand)]
enum Policy {
    /// What of the policy cannot work, each with its remedy. 检查
    ///
    /// One telephone in all, somebody who cannot be reached, more than a channel takes. Exit code 2
    /// where something is refused.
    Check(ConfigFile),
    /// Who would be called when. 推演
    ///
    /// The real decision in virtual time. Nobody answers, but as told otherwise: `--phone leader=off
    /// --phone substitute=answers`.
    Simulate(Simulate),
}

#[derive(Args)]
struct Simulate {
    /// How urgent it is. 急别
    #[arg(long, value_enum, default_value_t = HowUrgent::Critical)]
    urgency: HowUrgent,
    /// The time of the day it is flagged at. 几点标记
    #[arg(long, default_value = "03:00", value_parser = time_of_day)]
    at: NaiveTime,
    /// Minutes that are shown. 推演多少分钟
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// How a telephone behaves: a role or a number, and one of silent, off, busy, declines, dead,
    /// machine, answers. Any number of times. 某部电话的表现
    #[arg(long = "phone", value_name = "WHO=HOW")]
    phones: Vec<String>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, ValueEnum)]
enum HowUrgent {
    /// 急
    Urgent,
    /// 特急
    Critical,
}

fn time_of_day(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "such as 03:00".to_owned())
}

#[derive(Subcommand)]
enum User {
    /// Add an account. 新增账号
    ///
    /// The password is asked for, or read from standard input where that is no terminal; it is
    /// never an argument, which every process could see.
    Add(NewUser),
}

#[derive(Args)]
struct NewUser {
    /// The person's name, as it stands in the log. 姓名
    name: String,
    /// What is typed to log in; the name unless given. 登录名
    #[arg(long)]
    login: Option<String>,
    /// What the person may do. 角色
    #[arg(long, value_enum, default_value_t = Role::Officer)]
    role: Role,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    /// 值班员
    Officer,
    /// 带班领导
    Leader,
    /// 系统管理员
    Admin,
}

/// Exit code for a configuration that is not right.
const MISCONFIGURED: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(fault) = log_to_stderr(&arguments) {
        eprintln!("--log {}: {fault}", arguments.log.unwrap_or_default());
        return ExitCode::from(MISCONFIGURED);
    }
    let done = match arguments.command {
        Command::Run(file) => with_config(&file, run),
        Command::Demo(Demo { once, web_port, keep }) => runtime().and_then(|runtime| {
            runtime.block_on(dutyline::demo::run(DemoOptions { once, web_port, keep }))
        }),
        Command::CheckConfig(file) => with_config(&file, |config| judge(&file, &config, true)),
        Command::Policy(Policy::Check(file)) => {
            with_config(&file, |config| judge(&file, &config, false))
        }
        Command::Policy(Policy::Simulate(plan)) => {
            with_config(&plan.file, |config| rehearse(&plan, &config))
        }
        Command::Trace(trace) => with_config(&trace.file, |config| show(&trace, &config)),
        Command::User(User::Add(user)) => with_config(&user.file, |config| add(&user, &config)),
        Command::Verify(wanted) => match &wanted.folder {
            Some(folder) => check_folder(folder, &wanted),
            None => with_config(&wanted.file, |config| check(&wanted, &config)),
        },
        Command::Reconcile(wanted) => with_config(&wanted.file, |config| {
            let store = open_beside(&config)?;
            let report = call_list::import(&wanted.list, &config, &store, wanted.trial)?;
            print!("{}", report.text);
            Ok(if report.fits { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
        Command::Backup(wanted) => with_config(&wanted.file, |config| {
            let report = backup::back_up(&config, &open_beside(&config)?, &wanted.into)?;
            report.faults.iter().for_each(|fault| eprintln!("{fault}"));
            println!("{} 个录音文件 · recordings and tapes copied", report.files);
            let whole = report.faults.is_empty();
            Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
        Command::Export(wanted) => with_config(&wanted.file, |config| export(&wanted, &config)),
    };
    done.unwrap_or_else(|fault| {
        eprintln!("{fault:#}");
        ExitCode::FAILURE
    })
}

fn policy_findings(config: &Config) -> Vec<Finding> {
    let channels: Vec<_> = config.channels.iter().map(|channel| channel.plan.clone()).collect();
    rehearsal::findings(&config.policy, &config.roster, &channels)
}

/// The policy is judged with the configuration; `summed_up`: what the configuration says is shown.
fn judge(file: &ConfigFile, config: &Config, summed_up: bool) -> anyhow::Result<ExitCode> {
    let found = policy_findings(config);
    shown::findings(&mut stderr().lock(), &found)?;
    if found.iter().any(|one| one.refused) {
        return Ok(ExitCode::from(MISCONFIGURED));
    }
    println!("{}: 正确 · ok", file.config.display());
    if summed_up {
        print!("{}", config.summary());
    }
    Ok(ExitCode::SUCCESS)
}

fn rehearse(plan: &Simulate, config: &Config) -> anyhow::Result<ExitCode> {
    let phones = shown::phones(&plan.phones, &config.roster).map_err(anyhow::Error::msg)?;
    let now = clock::now();
    let start = Now { wall: shown::today_at(plan.at, now.wall), ..now };
    let urgency = match plan.urgency {
        HowUrgent::Urgent => Urgency::Urgent,
        HowUrgent::Critical => Urgency::Critical,
    };
    let events = simulate(&Plan {
        policy: &config.policy,
        roster: &config.roster,
        urgency,
        phones: &phones,
        start,
        lasts: Duration::from_secs(60 * plan.minutes),
    });
    shown::time_line(&mut stdout().lock(), urgency, &events, start.wall)?;
    Ok(ExitCode::SUCCESS)
}

/// A policy that cannot work is shown, and the telephone starts all the same.
fn run(config: Config) -> anyhow::Result<ExitCode> {
    for Finding { zh, en, .. } in policy_findings(&config) {
        tracing::warn!(%zh, %en, "the escalation policy has a weak point");
    }
    runtime()?.block_on(dutyline::daemon::run(config))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("no runtime")
}

fn open_beside(config: &Config) -> anyhow::Result<Store> {
    let database = config.storage.data.join("dutyline.db");
    Store::open_beside(&database, clock::random())
        .with_context(|| format!("{}", database.display()))
}

fn show(trace: &Trace, config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_beside(config)?;
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

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local.ok_or("2026-10-03T21:00")?;
    beijing().from_local_datetime(&local).single().map(|at| at.to_utc()).ok_or("?".to_owned())
}

fn export(wanted: &Export, config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_beside(config)?;
    let scope = match (&wanted.entry, wanted.from, wanted.to) {
        (Some(named), ..) => {
            let found = wait(store.entry_named(named))?;
            let found =
                found.with_context(|| format!("没有这样的记录 · no entry is named {named:?}"))?;
            Scope::Entry(found)
        }
        (None, Some(from), Some(to)) if from < to => Scope::Period(from, to),
        _ => bail!("--from 要早于 --to · --from must be before --to"),
    };
    let key = SigningKey::load(&config.storage.data, &wait(store.origin())?);
    let key = Arc::new(key.context("signing.key")?);
    let recordings = &config.storage.recordings;
    let (store, who, now) = (&store, None, clock::now());
    let order = Order { store, recordings, key, who, scope, now };
    let bundle = runtime()?.block_on(order.bundle())?.context("没有这样的记录 · no such entry")?;
    let folder = bundle
        .write_into(&wanted.into)
        .with_context(|| format!("{}/{}", wanted.into.display(), bundle.name))?;
    println!("{}", folder.display());
    Ok(ExitCode::SUCCESS)
}

fn trusted(wanted: &Verify) -> anyhow::Result<Option<PublicKey>> {
    let parse = |text: &String| PublicKey::parse(text).context("--key: 不是公钥 · no public key");
    wanted.key.as_ref().map(parse).transpose()
}

fn check_folder(folder: &Path, wanted: &Verify) -> anyhow::Result<ExitCode> {
    let found =
        handed::check(folder, trusted(wanted)?).with_context(|| format!("{}", folder.display()))?;
    print!("{found}");
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(wanted: &Verify, config: &Config) -> anyhow::Result<ExitCode> {
    let wanted = verify::Wanted {
        data: config.storage.data.clone(),
        recordings: config.storage.recordings.clone(),
        folders: config.witness.folder.iter().cloned().collect(),
        copies: wanted.heads.clone(),
        key: trusted(wanted)?,
    };
    let report = wanted.check()?;
    print!("{report}");
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn add(user: &NewUser, config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_beside(config)?;
    let account = match user.role {
        Role::Officer => Account::Officer,
        Role::Leader => Account::Leader,
        Role::Admin => Account::Admin,
    };
    let login = user.login.clone().unwrap_or_else(|| user.name.clone());
    let password = terminal::ask_password()?;
    let person = NewPerson { login: login.clone(), name: user.name.clone(), account, password };
    match wait(store.add_person(person, "user add", clock::now()))? {
        Added::Added(_) => {
            println!("{} 已新增，登录名 {login} · added, logs in as {login}", user.name)
        }
        Added::Taken => bail!("登录名 {login} 已有人用 · somebody logs in as {login} already"),
        Added::Refused { zh, en } => bail!("{zh} · {en}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes on with the checked configuration; its warnings, or else its faults, are printed.
fn with_config(
    file: &ConfigFile,
    next: impl FnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match Config::load(&file.config, &environment()) {
        Ok(Loaded { config, warnings }) => {
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
