//! `dutyline user`: accounts made, listed, mended, ended.

use super::arguments::{Login, NewUser, Role, User};
use anyhow::bail;
use dutyline::io::store::{
    Account, Added, NewPerson, PersonChange, PersonChanged, PersonRow, Store, wait,
};
use dutyline::io::{clock, terminal};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Who it was, in the audit.
const BY: &str = "user";

/// `page` is where the page listens.
pub fn run(user: &User, store: &Store, page: SocketAddr) -> anyhow::Result<ExitCode> {
    match user {
        User::Add(new) => add(store, new)?,
        User::List(_) => wait(store.people())?.iter().for_each(show),
        User::Password(of) => {
            let password = terminal::ask_password()?;
            change(store, of, PersonChange::Password(password))?;
        }
        User::Role { of, role } => change(store, of, PersonChange::Account(account(*role)))?,
        User::Disable(of) => change(store, of, PersonChange::Active(false))?,
        User::Enable(of) => change(store, of, PersonChange::Active(true))?,
        User::Link(of) => match wait(store.link_for(&of.login, BY, clock::now()))? {
            Some(token) => println!("http://{}/first/{token}", page),
            None => nobody(&of.login)?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

fn account(role: Role) -> Account {
    match role {
        Role::Officer => Account::Officer,
        Role::Leader => Account::Leader,
        Role::Admin => Account::Admin,
    }
}

fn add(store: &Store, user: &NewUser) -> anyhow::Result<()> {
    let login = user.login.clone().unwrap_or_else(|| user.name.clone());
    let password = terminal::ask_password()?;
    let (name, account) = (user.name.clone(), account(user.role));
    let person = NewPerson { login: login.clone(), name, account, password };
    match wait(store.add_person(person, "user add", clock::now()))? {
        Added::Added(_) => {
            println!("{} 已新增，账号 {login} · added, logs in as {login}", user.name)
        }
        Added::Taken => bail!("账号 {login} 已有人用 · somebody logs in as {login} already"),
        Added::Refused { zh, en, .. } => bail!("{zh} · {en}"),
    }
    Ok(())
}

fn change(store: &Store, of: &Login, change: PersonChange) -> anyhow::Result<()> {
    match wait(store.change_person(&of.login, change, BY, clock::now()))? {
        PersonChanged::Changed(person) => show(&person),
        PersonChanged::Unknown => nobody(&of.login)?,
        PersonChanged::Refused { zh, en } => bail!("{zh} · {en}"),
    }
    Ok(())
}

fn nobody(login: &str) -> anyhow::Result<()> {
    bail!(
        "没有可用的账号 {login}；dutyline user list 列出全部账号 · nobody who may sign in has the account {login}: see dutyline user list"
    )
}

fn show(person: &PersonRow) {
    let (zh, en) = match person.account {
        Account::Officer => ("值班员", "officer"),
        Account::Leader => ("带班领导", "leader"),
        Account::Admin => ("系统管理员", "admin"),
    };
    let ended = if person.active { "" } else { "  已停用 · disabled" };
    println!("{}  {}  {zh} · {en}{ended}", person.login, person.name);
}
