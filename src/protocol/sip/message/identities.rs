//! Whom an address header names: numbers and names out of `sip:`, `tel:` and whatever else comes.

use crate::protocol::sip::Identity;
use crate::protocol::sip::address::{NameAddr, Uri};
use crate::protocol::sip::text::{decode, percent_decode};

/// Who an address header names. Whatever cannot be read stays in `raw`.
pub fn identity(value: &[u8]) -> Identity {
    let raw = value.to_vec();
    match NameAddr::parse(value) {
        Some(address) => {
            let (user, context) = subscriber(&address.uri);
            Identity { user, context, display: decode(&address.display), raw }
        }
        None => Identity { raw, ..Identity::default() },
    }
}

/// A number and its `phone-context`, in a `tel:` URI or, with the same parameters, in the user part
/// of a `sip:` one (RFC 3966 §3, RFC 3261 §19.1.6); any other user part as it is.
fn subscriber(uri: &[u8]) -> (String, String) {
    let Some(parsed) = Uri::parse(uri) else { return Default::default() };
    let user = decode(&percent_decode(parsed.user));
    let is_number = user.starts_with(|c: char| c == '+' || c.is_ascii_digit());
    let (number, params) = match user.split_once(';') {
        Some((number, params)) if is_number => (number.to_owned(), params.to_owned()),
        Some(_) | None => (user, String::new()),
    };
    let written = params.split(';').find_map(|param| {
        let (name, value) = param.split_once('=')?;
        name.eq_ignore_ascii_case("phone-context").then(|| value.to_owned())
    });
    let context = written.or_else(|| parsed.param("phone-context").map(decode));
    (number, context.unwrap_or_default())
}

/// The user part of a URI, decoded; empty when it cannot be read.
pub fn user_of(uri: &[u8]) -> String {
    Uri::parse(uri).map(|uri| decode(&percent_decode(uri.user))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_from_gbk_tel_and_escapes() {
        let name = identity(b"\"\xd5\xc5\xce\xb0\" <tel:+861012345678;phone-context=x>;tag=1");
        assert_eq!((name.display.as_str(), name.user.as_str()), ("张伟", "+861012345678"));
        assert_eq!(identity(b"<sip:%31%30@b>").user, "10");
        assert_eq!(name.context, "x");
        let ims = identity(b"<sip:+8613800138000;npdi;phone-context=ims.example@b;user=phone>");
        assert_eq!((ims.user.as_str(), ims.context.as_str()), ("+8613800138000", "ims.example"));
        assert_eq!(identity(b"<sip:gate;4@b>").user, "gate;4", "a name, not a number");
        let broken = identity(b"\"open <sip:a@b>");
        assert_eq!((broken.user.as_str(), broken.raw.as_slice()), ("", &b"\"open <sip:a@b>"[..]));
    }
}
