//! Who is on duty, who leads, who stands in.

use serde::{Deserialize, Serialize};

/// In which capacity somebody is called (C-10, C-11, C-21).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 带班领导
    Leader,
    /// 同级替班领导
    Substitute,
    /// 办公室主任
    OfficeDirector,
    /// 中心主要领导
    Head,
}

/// A person who can be called in an urgent matter; the numbers are dialled through the PBX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub role: Role,
    /// 手机
    pub mobile: Option<String>,
    /// 短信: as the carriers write it, with no prefix of the PBX
    #[serde(default)]
    pub sms: Option<String>,
    /// 办公电话
    pub office: Option<String>,
}

/// Who holds each role now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    pub people: Vec<Person>,
}

impl Roster {
    pub fn holder(&self, role: Role) -> Option<&Person> {
        self.people.iter().find(|person| person.role == role)
    }
}
