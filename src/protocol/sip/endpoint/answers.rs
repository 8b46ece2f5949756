//! Where answers go when the connection that their requests came over is gone (RFC 3261 §18.2.2): to the port that the
//! sender named, over a new one.

use super::Endpoint;
use crate::protocol::sip::Peer;

impl Endpoint {
    /// What may have been lost with it is said once more, at once.
    pub(super) fn answer_elsewhere(&mut self, gone: Peer) {
        for key in self.servers.names(|server| server.back() == gone) {
            let Some(server) = self.servers.get_mut(&key) else { continue };
            if !server.goes_by_its_name() {
                continue;
            }
            let (leg, there, unheard) = (server.leg, server.back(), server.unheard());
            if let Some(unheard) = unheard {
                self.transmit(unheard);
            }
            let Some(leg) = leg.and_then(|leg| self.legs.get_mut(leg)) else { continue };
            leg.reliable.goes_to(there);
            let mut again = vec![];
            for unacked in leg.unacked.iter_mut().filter(|unacked| unacked.sent.to == gone) {
                unacked.sent.to = there;
                again.push(unacked.sent.clone());
            }
            again.into_iter().for_each(|transmit| self.transmit(transmit));
        }
    }
}
