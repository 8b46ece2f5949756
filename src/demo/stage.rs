//! What a demo needs: a temporary folder, a PBX and three telephones on loopback, and the daemon
//! itself with a configuration of its own.

use super::pbx::{self, Algorithm, Pbx, User};
use super::phone::{self, Manner, Phone};
use super::socket::{Exchange, Handset, Ports, exchange, handset};
use super::{DemoOptions, tell};
use crate::config::{Config, Contact, Line, Media, PbxAddress, Storage, Web, Witness};
use crate::duty::call::arrival::CallerRules;
use crate::duty::call_list::Columns;
use crate::duty::dial_plan::DialPlan;
use crate::duty::escalation::Timetable;
use crate::duty::keeping::Rules;
use crate::duty::line_plan::{self, Answering, Begins};
use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::{Person, Role, Roster};
use crate::io::clock;
use crate::protocol::places::Places;
use crate::protocol::sip::{Account, Habits, Peer, Transport};
use anyhow::Context;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub const LINE: &str = "63001234";
pub const CALLER: &str = "13800130007";
const DESK: &str = "2001";
const LEADER: &str = "13900130001";
const DOMAIN: &str = "duty.example";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const CHANNELS: u16 = 16;

pub struct Stage {
    pub exchange: Exchange,
    pub caller: Handset,
    pub desk: Handset,
    pub leader: Handset,
    pub config: Config,
    pub folder: Folder,
}

impl Stage {
    /// Everything but the daemon, which starts with `config`.
    pub async fn set(options: &DemoOptions) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let mut ports = Ports::from_anywhere();
        let pbx_socket = ports.socket().await?;
        let pbx_address = pbx_socket.local_addr()?;
        let password = clock::random().token();
        let caller_socket = ports.socket().await?;
        let pbx = pbx(pbx_address, caller_socket.local_addr()?, &password);
        let exchange = exchange(pbx_socket, pbx);
        let new = Cast { ports: &mut ports, pbx: pbx_address, password: &password };
        let (desk, leader, caller) = new.telephones(caller_socket).await?;
        let config = config(options, &mut ports, pbx_address, &password, folder.path())?;
        Ok(Self { exchange, caller, desk, leader, config, folder })
    }

    pub async fn wait_for_the_line(&mut self) -> anyhow::Result<()> {
        let registered = |event: &pbx::Event| match event {
            pbx::Event::Registered { user } if user == LINE => Some(()),
            _ => None,
        };
        let limit = Duration::from_secs(10);
        self.exchange.until("the daemon registers the duty line", limit, registered).await?;
        tell(&format!("值班线路 {LINE} 已注册"), "the duty line is registered");
        Ok(())
    }
}

/// Makes telephones.
struct Cast<'a> {
    ports: &'a mut Ports,
    pbx: SocketAddr,
    password: &'a str,
}

impl Cast<'_> {
    async fn telephones(
        mut self,
        caller: tokio::net::UdpSocket,
    ) -> anyhow::Result<(Handset, Handset, Handset)> {
        let desk_socket = self.ports.socket().await?;
        let desk = self.telephone(desk_socket, DESK, "值班台", 60).await?;
        let leader_socket = self.ports.socket().await?;
        let leader = self.telephone(leader_socket, LEADER, "带班领导", 60).await?;
        let caller = self.telephone(caller, CALLER, "燃气调度 王主任", 0).await?;
        Ok((desk, leader, caller))
    }

    async fn telephone(
        &mut self,
        socket: tokio::net::UdpSocket,
        number: &str,
        name: &str,
        expires: u32,
    ) -> anyhow::Result<Handset> {
        let rtp = self.ports.socket().await?;
        let account = Account {
            local: socket.local_addr()?,
            pbx: Peer { transport: Transport::Udp, addr: self.pbx },
            peers: vec![],
            habits: Habits::default(),
            domain: DOMAIN.to_owned(),
            user: number.to_owned(),
            display: name.to_owned(),
            auth_user: number.to_owned(),
            password: self.password.to_owned(),
            realm: None,
            expires,
            others: vec![],
            session_expires: 1800,
            also_trusted: vec![],
            agent: "dutyline demo telephone".to_owned(),
        };
        let plan = phone::Plan {
            account,
            rtp: rtp.local_addr()?,
            manner: Manner::Rings,
            able: phone::Able::default(),
            keeps_talking: true,
        };
        let mut handset = handset(socket, rtp, Phone::new(plan, clock::random()));
        if expires > 0 {
            handset.with(|phone, now| phone.register(now)).await?;
            let registered = |event: &phone::Event| match event {
                phone::Event::Registered => Some(()),
                _ => None,
            };
            handset.until("a telephone registers", Duration::from_secs(10), registered).await?;
        }
        Ok(handset)
    }
}

fn pbx(address: SocketAddr, caller: SocketAddr, password: &str) -> Pbx {
    let user = |stand_in: Option<&str>| User {
        password: password.to_owned(),
        stand_in: stand_in.map(str::to_owned),
    };
    let users = BTreeMap::from([
        (LINE.to_owned(), user(Some(DESK))),
        (DESK.to_owned(), user(None)),
        (LEADER.to_owned(), user(None)),
        (CALLER.to_owned(), user(None)),
    ]);
    let plan = pbx::Plan {
        address,
        domain: DOMAIN.to_owned(),
        algorithm: Algorithm::Sha256,
        longest: 90,
        users,
        trusted: vec![caller],
    };
    let mut pbx = Pbx::new(plan, clock::random());
    pbx.place(CALLER, Peer { transport: Transport::Udp, addr: caller });
    pbx
}

fn desk() -> line_plan::Phone {
    line_plan::Phone {
        name: "值班台话机".to_owned(),
        target: DESK.to_owned(),
        ring: Duration::from_secs(30),
        begins: Begins::InTurn,
        srtp: None,
    }
}

fn config(
    options: &DemoOptions,
    ports: &mut Ports,
    pbx: SocketAddr,
    password: &str,
    folder: &Path,
) -> anyhow::Result<Config> {
    let sip = ports.block(1)?;
    let web = match options.web_port {
        Some(port) => port,
        None => ports.block(1)?,
    };
    let line = Line {
        number: LINE.to_owned(),
        room: "市政务服务中心值班室（演示）".to_owned(),
        pbx: vec![PbxAddress::At(pbx)],
        tls: None,
        dns: vec![],
        transport: Transport::Udp,
        domain: DOMAIN.to_owned(),
        user: LINE.to_owned(),
        auth_user: LINE.to_owned(),
        password: password.to_owned(),
        realm: None,
        listen: SocketAddr::new(LOOPBACK, sip),
        advertise: LOOPBACK,
        expires: 60,
        session_expires: 1800,
        trusted: vec![],
        answer_supervision: true,
        keys_in_voice: false,
        habits: Habits::default(),
        finish: Duration::ZERO,
    };
    Ok(Config {
        line,
        keeping: Rules::default(),
        flac: None,
        phones: vec![desk()],
        rings: None,
        numbers: vec![],
        answering: Answering::default(),
        dial: DialPlan { allow: vec![CALLER.to_owned()], per_day: 100, ..DialPlan::default() },
        registrar: None,
        prompts: vec![],
        media: Media {
            listen: LOOPBACK,
            first_port: ports.block(2 * CHANNELS)?,
            channels: CHANNELS,
            reserved: 4,
            realtime: false,
            srtp: line_plan::SrtpPlan::default(),
            places: Places::default(),
        },
        storage: storage(folder),
        web: Web {
            listen: SocketAddr::new(LOOPBACK, web),
            listen_reason: false,
            proxies: vec![],
            report: Duration::from_secs(1800),
        },
        metrics: None,
        heartbeat: None,
        roll_call: RollCallPlan::default(),
        self_test: None,
        witness: Witness { folder: None, webhook: None, every: Duration::from_secs(600) },
        callers: CallerRules::default(),
        call_list: Columns::default(),
        contacts: vec![contact()],
        roster: Roster { people: vec![Person::new("张局长", Role::Leader, Some(LEADER), None)] },
        policy: Timetable::default(),
        channels: vec![],
        lamp: vec![],
    })
}

fn storage(folder: &Path) -> Storage {
    Storage {
        data: folder.join("data"),
        recordings: folder.join("recordings"),
        copies: None,
        entry_budget: Duration::from_millis(150),
        low_space: 0,
        ballast: 0,
    }
}

fn contact() -> Contact {
    Contact {
        name: "王建国".to_owned(),
        unit: "燃气公司调度中心".to_owned(),
        duty: "主任".to_owned(),
        numbers: vec![CALLER.to_owned()],
    }
}

/// A folder of our own below the system's temporary one; gone when dropped, unless it is kept.
pub struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let name = format!("dutyline-demo-{}", clock::random().token());
        let path = std::env::temp_dir().join(name);
        for folder in [path.clone(), path.join("data"), path.join("recordings")] {
            std::fs::create_dir(&folder)
                .with_context(|| format!("make the folder {}", folder.display()))?;
        }
        Ok(Self { path, kept: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.kept {
            let path = self.path.display();
            tell(&format!("数据留在 {path}"), &format!("everything is kept in {path}"));
        } else if let Err(error) = std::fs::remove_dir_all(&self.path) {
            let path = self.path.display();
            tell(&format!("删不掉 {path}：{error}"), &format!("{path} is left behind: {error}"));
        }
    }
}
