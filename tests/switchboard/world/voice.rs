//! Who is on which channel: keys, prompts and silence, as the relay tells of them.

use super::World;
use dutyline::duty::switchboard::Input;
use dutyline::protocol::rtp::{self, Channel, Command, Party, Prompt};

impl World {
    /// The channel that a party of a call was given last.
    pub fn channel(&self, wanted: Party) -> Channel {
        let opened = self.media.iter().rev().find_map(|command| match command {
            Command::Open { channel, party, .. } | Command::PassOn { channel, party, .. }
                if *party == wanted =>
            {
                Some(*channel)
            }
            _ => None,
        });
        opened.expect("the party is on")
    }

    pub fn press(&mut self, party: Party, key: char) {
        let channel = self.channel(party);
        self.tell(Input::Media(rtp::Event::Digit { channel, digit: key }));
    }

    /// The prompt that the leader was told last.
    pub fn spoken(&self) -> Option<Prompt> {
        self.media.iter().rev().find_map(|command| match command {
            Command::Play { prompt, .. } => Some(*prompt),
            _ => None,
        })
    }

    /// What the caller hears comes to its end.
    pub fn caller_hears_it_out(&mut self) {
        let channel = self.channel(Party::Caller);
        let prompt = self.spoken().expect("a prompt");
        self.tell(Input::Media(rtp::Event::Played { channel, prompt }));
    }

    /// Nothing more comes from this party.
    pub fn falls_silent(&mut self, party: Party) {
        let (channel, since) = (self.channel(party), self.now.mono);
        self.tell(Input::Media(rtp::Event::Quiet { channel, since }));
    }

    pub fn is_heard_again(&mut self, party: Party) {
        let channel = self.channel(party);
        self.tell(Input::Media(rtp::Event::Heard { channel }));
    }

    /// The current prompt comes to its end.
    pub fn prompt_ends(&mut self) {
        let channel = self.channel(Party::Leader);
        let prompt = self.spoken().expect("a prompt");
        self.tell(Input::Media(rtp::Event::Played { channel, prompt }));
    }
}
