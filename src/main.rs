//! Arguments: what is asked of the daemon, and how it speaks on the terminal.

#![warn(clippy::too_many_lines)]

use clap::{Args, Parser, Subcommand, ValueEnum};
use dutyline::config::{Config, Environment, Loaded};
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The daemon behind a duty room's telephone: answers, logs, records, escalates.
/// 值班电话守护程序：接听、记录、录音、紧急呈报。
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// How log lines are written to standard error. 日志格式
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log_format: LogFormat,
    /// What is logged, such as `info` or `dutyline::io=debug`. 日志级别
    #[arg(long, global = true, env = "DUTYLINE_LOG", default_value = "info")]
    log: String,
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
    /// Check a configuration without starting anything. 检查设置文件
    ///
    /// Names every fault at once with its line and its remedy. Exit code 0: it is right; 2: it is
    /// not.
    CheckConfig(ConfigFile),
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file. 设置文件
    #[arg(long, env = "DUTYLINE_CONFIG", default_value = "config/dutyline.toml")]
    config: PathBuf,
}

/// Exit code for a configuration that is not right.
const MISCONFIGURED: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(fault) = log_to_stderr(&arguments) {
        eprintln!("--log {}: {fault}", arguments.log);
        return ExitCode::from(MISCONFIGURED);
    }
    match arguments.command {
        Command::CheckConfig(file) => match load(&file) {
            Ok(config) => {
                println!("{}: 正确 · ok\n{}", file.config.display(), config.summary());
                ExitCode::SUCCESS
            }
            Err(code) => code,
        },
    }
}

/// The checked configuration; its warnings, or else its faults, are printed.
fn load(file: &ConfigFile) -> Result<Config, ExitCode> {
    match Config::load(&file.config, &environment()) {
        Ok(Loaded { config, warnings }) => {
            if !warnings.is_empty() {
                eprintln!("警告 · warning\n{warnings}");
            }
            Ok(config)
        }
        Err(faults) => {
            eprint!("{faults}");
            let count = faults.list.len();
            eprintln!("{count} 处错误 · {count} fault{}", if count == 1 { "" } else { "s" });
            Err(ExitCode::from(MISCONFIGURED))
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
    let filter = EnvFilter::try_new(&arguments.log)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match arguments.log_format {
        LogFormat::Human => lines.with_ansi(stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}
