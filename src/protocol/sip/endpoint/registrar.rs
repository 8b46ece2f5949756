//! The messages of the registration machine: REGISTER out, its answers in (RFC 3261 §10.2).

use super::Endpoint;
use super::client::Purpose;
use super::wallet::Wallet;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use crate::protocol::sip::address::{NameAddr, Uri};
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::message::{Method, Response, reason};
use crate::protocol::sip::registration::{Registration, Reply, Step};
use crate::protocol::sip::route::{Failure, Undone};
use crate::protocol::sip::wire::decimal;
use crate::protocol::sip::{Account, AorId, Event, Peer};

/// The binding of one address-of-record. §10.2: one Call-ID and a rising CSeq for all its registrations.
#[derive(Debug)]
pub struct Registrar {
    machine: Registration,
    pub call_id: Vec<u8>,
    pub cseq: u32,
    pub wallet: Wallet,
    /// Nothing is bound, as was asked for.
    left: bool,
    /// The address in use refuses it for a reason that is its own.
    pub refused: bool,
    /// It was granted with this password.
    proved: bool,
    /// The address in use refuses a password that was good.
    doubted: bool,
}

impl Registrar {
    fn new(account: &Account, random: &mut Random) -> Self {
        let machine = Registration::new(account.expires, random.fork());
        let call_id = random.token().into_bytes();
        let wallet = Wallet::new(account);
        let (left, refused, proved, doubted) = (false, false, false, false);
        Self { machine, call_id, cseq: 0, wallet, left, refused, proved, doubted }
    }

    pub fn next_cseq(&mut self) -> u32 {
        self.cseq += 1;
        self.cseq
    }
}

/// The bindings of all our addresses-of-record, at least one.
#[derive(Debug)]
pub struct Registrars {
    first: Registrar,
    others: Vec<Registrar>,
    /// Why the transport failed last.
    pub trouble: Option<String>,
}

impl Registrars {
    pub fn new(account: &Account, random: &mut Random) -> Self {
        let first = Registrar::new(account, random);
        let others = account.others.iter().map(|_| Registrar::new(account, random)).collect();
        Self { first, others, trouble: None }
    }

    /// That of the first where there is no such.
    pub fn of(&self, aor: AorId) -> &Registrar {
        let other = usize::from(aor.0).checked_sub(1).and_then(|place| self.others.get(place));
        other.unwrap_or(&self.first)
    }

    pub fn of_mut(&mut self, aor: AorId) -> &mut Registrar {
        let other = usize::from(aor.0).checked_sub(1).and_then(|place| self.others.get_mut(place));
        other.unwrap_or(&mut self.first)
    }

    fn all(&self) -> impl Iterator<Item = &Registrar> {
        [&self.first].into_iter().chain(&self.others)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Registrar> {
        [&mut self.first].into_iter().chain(&mut self.others)
    }

    pub fn register(&mut self, now: Mono) {
        self.all_mut().for_each(|one| {
            one.left = false;
            one.machine.register(now);
        });
    }

    pub fn unregister(&mut self, now: Mono) {
        self.all_mut().for_each(|one| one.machine.unregister(now));
    }

    /// Whether it is to be bound wherever the line goes.
    pub fn is_wanted_elsewhere(&self, aor: AorId) -> bool {
        let one = self.of(aor);
        one.machine.is_bound() || one.refused || one.doubted
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        self.all_mut().for_each(|one| one.machine.handle_timeout(now));
    }

    pub fn handle_unreachable(&mut self, peer: Peer, why: &str, now: Mono) {
        self.all_mut().for_each(|one| one.machine.handle_unreachable(peer, why, now));
    }

    /// The PBX is spoken to at another address, whose nonces are others.
    pub fn handle_moved(&mut self, failed: bool, now: Mono) {
        self.all_mut().for_each(|one| {
            one.wallet.forget();
            (one.refused, one.doubted) = (false, false);
            one.machine.handle_moved(failed, now);
        });
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.all().map(|one| one.machine.poll_timeout()).fold(None, earlier)
    }

    fn poll(&mut self) -> Option<(AorId, Step)> {
        let mut places = (0..=u8::MAX).zip(self.all_mut());
        places.find_map(|(place, one)| Some((AorId(place), one.machine.poll()?)))
    }
}

impl Endpoint {
    pub(super) fn run_registrar(&mut self, now: Now) {
        while let Some((aor, step)) = self.registrars.poll() {
            match step {
                Step::Send { expires: 1.. } if self.asks_another(aor, now) => {}
                Step::Send { expires } => self.send_register(aor, expires, now),
                Step::Granted { expires } => {
                    let one = self.registrars.of_mut(aor);
                    (one.refused, one.doubted, one.proved) = (false, false, true);
                    self.route.handle_registered(self.account.pbx);
                    self.report(Event::Registered { aor, expires });
                }
                Step::Failed { status, reason } => {
                    self.report(Event::RegistrationFailed { aor, status, reason });
                }
                Step::Removed => {
                    self.registrars.of_mut(aor).left = true;
                    if self.registrars.all().all(|one| one.left) {
                        self.report(Event::Unregistered);
                    }
                }
            }
        }
    }

    /// Of all our addresses-of-record: there is no way to the PBX.
    pub(super) fn report_no_way(&mut self, status: u16, reason: &str) {
        for aor in self.account.aors() {
            let reason = reason.to_owned();
            self.report(Event::RegistrationFailed { aor, status, reason });
        }
    }

    /// Where the address in use refuses the password that it has granted before: in the turn of this REGISTER another is
    /// asked, where one answers, so that the password is tried no more often.
    fn asks_another(&mut self, aor: AorId, now: Now) -> bool {
        let asks = self.registrars.of(aor).doubted && self.route.try_another(now.mono);
        if asks {
            self.registrars.of_mut(aor).machine.postpone(now.mono);
            self.run_route(now);
        }
        asks
    }

    fn send_register(&mut self, aor: AorId, expires: u32, now: Now) {
        let register = self.draft_register(aor, self.account.pbx, expires);
        self.start_client(register, Purpose::Register { expires }, now);
    }

    pub(super) fn draft_register(&mut self, aor: AorId, peer: Peer, expires: u32) -> Draft {
        let account = &self.account;
        let contact = draft::contact_by(account, aor, peer.transport);
        let registrar = self.registrars.of_mut(aor);
        let address = draft::name_addr("", &draft::own_uri(account, account.user_of(aor)));
        Draft {
            method: Method::Register,
            aor,
            uri: draft::host_uri(account, &account.domain).into_bytes(),
            peer,
            from: format!("{address};tag={}", self.random.token()).into_bytes(),
            to: address.into_bytes(),
            call_id: registrar.call_id.clone(),
            cseq: registrar.next_cseq(),
            routes: vec![],
            headers: vec![
                ("Contact".to_owned(), contact.into_bytes()),
                ("Expires".to_owned(), expires.to_string().into_bytes()),
                // RFC 3327 §5.1: without, a registrar behind an edge proxy may answer 420.
                ("Supported".to_owned(), b"path".to_vec()),
            ],
            body: None,
        }
    }

    pub(super) fn on_registrar_response(
        &mut self,
        aor: AorId,
        asked: u32,
        response: &Response,
        now: Now,
    ) {
        let least = || {
            let value = response.wire.header("min-expires")?;
            decimal(value, u64::from(u32::MAX)).map(|number| number as u32)
        };
        let reply = match response.status {
            200..=299 => Reply::Granted { expires: granted(&self.account, response, asked) },
            423 => Reply::TooBrief { least: least().unwrap_or(0) },
            status => Reply::Refused {
                status,
                reason: response.reason(),
                retry_after: response.retry_after(),
            },
        };
        self.registrars.of_mut(aor).machine.handle_reply(asked, reply, now.mono);
        self.run_registrar(now);
        match response.status {
            // RFC 3263 §4.3: one that cannot serve now is as good as one that is not there.
            503 => self.on_unregistered(503, response.retry_after(), now),
            // Each try may be counted: in its turn it is shown to another, where it was ever good.
            401 | 403 | 407 => {
                let one = self.registrars.of_mut(aor);
                one.doubted = one.proved;
            }
            200..300 | 423 => {}
            _ if self.way.wanted => self.on_register_refused(aor, now),
            _ => {}
        }
    }

    /// Timer F or a dead transport.
    pub(super) fn on_registrar_silent(&mut self, aor: AorId, asked: u32, status: u16, now: Now) {
        let trouble = self.registrars.trouble.clone().filter(|_| status == 503);
        let reason = trouble.unwrap_or_else(|| reason(status).to_owned());
        let reply = Reply::Refused { status, reason, retry_after: None };
        self.registrars.of_mut(aor).machine.handle_reply(asked, reply, now.mono);
        self.run_registrar(now);
        self.on_unregistered(status, None, now);
    }

    fn on_unregistered(&mut self, status: u16, retry_after: Option<u32>, now: Now) {
        if self.route.has_choice() {
            let failure = Failure { undone: Undone::Register, status, retry_after };
            self.on_address_failed(self.account.pbx, failure, now);
        }
    }
}

/// §10.2.4: the expiry of our own Contact, else the header's, else what we asked for.
pub fn granted(account: &Account, response: &Response, asked: u32) -> u32 {
    let seconds = |value: &[u8]| {
        // A number too big for us is a long time, not a mistake.
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = decimal(value, u64::from(u32::MAX)).unwrap_or(u64::from(u32::MAX));
        digits.then_some(number as u32)
    };
    let contacts: Vec<_> = response.wire.list("contact").filter_map(NameAddr::parse).collect();
    let is_ours = |contact: &&NameAddr| {
        Uri::parse(&contact.uri).is_some_and(|uri| {
            uri.ip() == Some(account.local.ip()) && uri.port.unwrap_or(5060) == account.local.port()
        })
    };
    let ours = contacts.iter().find(is_ours).or(match contacts.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    ours.and_then(|contact| contact.param("expires"))
        .or_else(|| response.wire.header("expires"))
        .and_then(seconds)
        .unwrap_or(asked)
}
