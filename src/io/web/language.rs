//! The page's language: chosen by the visitor, else by his browser.

use super::messages::{EN, Messages, ZH};

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Chinese,
    English,
}

impl Language {
    pub const COOKIE: &'static str = "dutyline_language";

    /// What the visitor chose, or what the browser prefers; Chinese where neither says.
    pub fn choose(cookie: Option<&str>, accept: Option<&str>) -> Self {
        match cookie {
            Some("zh") => Self::Chinese,
            Some("en") => Self::English,
            _ => accept.map_or(Self::Chinese, Self::preferred),
        }
    }

    /// The first of our languages in `Accept-Language`; browsers list them by preference
    /// (RFC 9110 §12.5.4).
    fn preferred(accept: &str) -> Self {
        accept
            .split(',')
            .find_map(|part| match part.trim().get(..2)? {
                "zh" => Some(Self::Chinese),
                "en" => Some(Self::English),
                _ => None,
            })
            .unwrap_or(Self::Chinese)
    }

    pub fn messages(self) -> &'static Messages {
        match self {
            Self::Chinese => &ZH,
            Self::English => &EN,
        }
    }

    pub fn tag(self) -> &'static str {
        match self {
            Self::Chinese => "zh-CN",
            Self::English => "en",
        }
    }
}
