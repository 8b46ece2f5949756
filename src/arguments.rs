//! Arguments: what can be asked of the daemon on the command line.

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeZone, Utc};
use clap::{Args, Parser, Subcommand, ValueEnum};
use dutyline::duty::entry::beijing;
use std::path::PathBuf;

/// The daemon behind a duty room's telephone: answers, logs, records, escalates.
/// 值班电话守护程序：接听、记录、录音、紧急呈报。
#[derive(Parser)]
#[command(version, max_term_width = 100)]
pub struct Arguments {
    /// How log lines are written to standard error. 日志格式
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `dutyline::io=debug`; `info` unless given, `warn` for the
    /// demo. 日志级别
    #[arg(long, global = true, env = "DUTYLINE_LOG")]
    pub log: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the daemon until SIGTERM or Ctrl+C. 运行
    Run(ConfigFile),
    /// Show the daemon at work, with a small PBX and telephones of its own. 演示
    ///
    /// Everything is on loopback and in a temporary folder; nothing is left behind. The page has a
    /// button that makes a call come in.
    Demo(Demo),
    /// Watch a daemon from another host: where it is silent, the duty desk is called. 看守
    ///
    /// By a telephone line of its own. Its configuration has [heartbeat] with listen and desk.
    Witness(ConfigFile),
    /// Check a configuration without starting anything. 检查设置文件
    ///
    /// Names every fault at once with its line and its remedy. Exit code 0: it is right; 2: it is
    /// not.
    CheckConfig(ConfigFile),
    /// Show the SIP messages of a call. 查看一次通话的信令
    ///
    /// Works while the daemon runs. Exit code 1 where no call is named so.
    Trace(Trace),
    /// Write what is said on the telephone, as WAVs with their words, into a new folder. 导出语音提示
    ///
    /// Somebody of the site with a clear voice says the sentences; `[prompts] folder` names the folder then.
    Prompts {
        /// Where to. 目标文件夹
        folder: PathBuf,
    },
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
    /// The key that signs the log. 签名密钥
    #[command(subcommand)]
    Key(Key),
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
    /// Make the index of the search again from the log, and WAVs that are gone from their tapes. 重建索引
    ///
    /// Works while the daemon runs; stopped or killed, the next one goes on. Exit code 1 where something could not be made.
    Reindex(ConfigFile),
}

#[derive(Args)]
pub struct Backup {
    /// The new folder; on a new host, `data` and `recordings` in it are those of [storage]. 放到哪里
    pub into: PathBuf,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Args)]
pub struct Reconcile {
    /// The list, as Asterisk writes it or as [call_list] says. 话单
    pub list: PathBuf,
    /// Show only, write nothing. 只看不写
    #[arg(long)]
    pub trial: bool,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Args)]
pub struct ConfigFile {
    /// The configuration file. 设置文件
    #[arg(long, env = "DUTYLINE_CONFIG", default_value = "config/dutyline.toml")]
    pub config: PathBuf,
}

#[derive(Args)]
pub struct Demo {
    /// Play one urgent call by itself and check its result: exit code 0 if it is right. 自动演示一次
    #[arg(long)]
    pub once: bool,
    /// Port of the page; a free one unless given. 页面端口
    #[arg(long)]
    pub web_port: Option<u16>,
    /// Keep the temporary folder with the log and the recordings. 保留数据
    #[arg(long)]
    pub keep: bool,
}

#[derive(Args)]
pub struct Trace {
    /// Entry id or number (记-…), call id or number (电-…), or SIP Call-ID. 记录号、通话号或 Call-ID
    pub id: String,
    /// The messages themselves, as they were on the wire but for credentials. 报文原文
    #[arg(long)]
    pub raw: bool,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Args)]
pub struct Export {
    /// Entry id or number (记-…). 记录号
    #[arg(required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub entry: Option<String>,
    /// Beginning of a period, such as 2026-10-03T21:00, in Beijing time. 起
    #[arg(long, requires = "to", value_parser = moment)]
    pub from: Option<DateTime<Utc>>,
    /// Its end. 止
    #[arg(long, requires = "from", value_parser = moment)]
    pub to: Option<DateTime<Utc>>,
    /// The entry by itself, without what is about it. 只含本记录
    #[arg(long, requires = "entry")]
    pub alone: bool,
    /// Redacted copies only, no original. 只附脱敏件
    #[arg(long)]
    pub redacted: bool,
    /// Where the new folder is made. 放在哪个文件夹里
    #[arg(long, default_value = ".")]
    pub into: PathBuf,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Args)]
pub struct Verify {
    /// What was handed out, unpacked; unless given, the log itself. 导出的文件夹
    pub folder: Option<PathBuf>,
    /// A folder to which signed heads were sent, besides that of the configuration. 见证文件夹
    #[arg(long)]
    pub heads: Vec<PathBuf>,
    /// The public key, kept where this host cannot change it; again for each that follows a lost one. 公钥（另处保存的）
    #[arg(long)]
    pub key: Vec<String>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Subcommand)]
pub enum Key {
    /// Make a new signing key: the old one signs it, and is destroyed. 更换签名密钥
    ///
    /// Works while the daemon runs, as the daemon's user. What was signed before stays valid. Write the new public key
    /// down elsewhere. Cut off at any point, it is undone or finished by whoever signs next.
    Renew(Renew),
}

#[derive(Args)]
pub struct Renew {
    /// Why, as it is to stand in the log. 原因
    #[arg(long, required_if_eq("lost", "true"))]
    pub reason: Option<String>,
    /// The old key is lost or of no use: nobody signs for the new one. 原密钥已遗失
    #[arg(long)]
    pub lost: bool,
    /// The lost key's public half, where even signing.pub is gone. 原公钥
    #[arg(long, requires = "lost")]
    pub old: Option<String>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Subcommand)]
pub enum Policy {
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
pub struct Simulate {
    /// How urgent it is. 急别
    #[arg(long, value_enum, default_value_t = HowUrgent::Critical)]
    pub urgency: HowUrgent,
    /// The time of the day it is flagged at. 几点标记
    #[arg(long, default_value = "03:00", value_parser = time_of_day)]
    pub at: NaiveTime,
    /// Minutes that are shown. 推演多少分钟
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub minutes: u64,
    /// How a telephone behaves: a role or a number, and one of silent, off, busy, declines, dead,
    /// machine, answers. Any number of times. 某部电话的表现
    #[arg(long = "phone", value_name = "WHO=HOW")]
    pub phones: Vec<String>,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum HowUrgent {
    /// 急
    Urgent,
    /// 特急
    Critical,
}

fn time_of_day(text: &str) -> Result<NaiveTime, String> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| "such as 03:00".to_owned())
}

#[derive(Subcommand)]
pub enum User {
    /// Add an account. 新增账号
    ///
    /// The password is asked for, or read from standard input where that is no terminal; it is
    /// never an argument, which every process could see.
    Add(NewUser),
    /// List the accounts. 列出账号
    List(ConfigFile),
    /// Give somebody a new password, asked for as by `add`; he is signed out. 重设口令
    Password(Login),
    /// Print a link that signs somebody in once, within a day. 一次性登录链接
    Link(Login),
    /// Change what somebody may do; he is signed out. 改角色
    Role {
        #[command(flatten)]
        of: Login,
        /// What the person may do. 角色
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Let somebody in no more, such as who has left; he is signed out. 停用账号
    Disable(Login),
    /// Let somebody in again. 恢复账号
    Enable(Login),
}

impl User {
    pub fn file(&self) -> &ConfigFile {
        match self {
            Self::Add(new) => &new.file,
            Self::List(file) => file,
            Self::Password(of)
            | Self::Link(of)
            | Self::Role { of, .. }
            | Self::Disable(of)
            | Self::Enable(of) => &of.file,
        }
    }
}

#[derive(Args)]
pub struct Login {
    /// What is typed to log in. 账号
    pub login: String,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Args)]
pub struct NewUser {
    /// The person's name, as it stands in the log. 姓名
    pub name: String,
    /// What is typed to log in; the name unless given. 账号
    #[arg(long)]
    pub login: Option<String>,
    /// What the person may do. 角色
    #[arg(long, value_enum, default_value_t = Role::Officer)]
    pub role: Role,
    #[command(flatten)]
    pub file: ConfigFile,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// 值班员
    Officer,
    /// 带班领导
    Leader,
    /// 系统管理员
    Admin,
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let local = local
        .ok_or("写成 2026-10-03T21:00，北京时间 · write it as 2026-10-03T21:00, Beijing time")?;
    beijing().from_local_datetime(&local).single().map(|at| at.to_utc()).ok_or("?".to_owned())
}
