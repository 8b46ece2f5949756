//! The entry form: its fields, categories, states, and when an entry is complete (C-36).

use super::journal::Urgency;
use chrono::{DateTime, Duration, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an entry is about (类别, domain §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// 公务通知
    Notice,
    /// 情况报告
    Report,
    /// 突发事件
    Emergency,
    /// 上级要情核报
    Superior,
    /// 群众来电
    Citizen,
    /// 咨询
    Inquiry,
    /// 查岗
    SpotCheck,
    /// 传真: a fax machine called the telephone.
    Fax,
    /// 试线
    LineTest,
    /// 打错
    WrongNumber,
    /// 骚扰
    Nuisance,
    /// 其他
    Other,
}

impl Category {
    pub const ALL: [Self; 12] = [
        Self::Notice,
        Self::Report,
        Self::Emergency,
        Self::Superior,
        Self::Citizen,
        Self::Inquiry,
        Self::SpotCheck,
        Self::Fax,
        Self::LineTest,
        Self::WrongNumber,
        Self::Nuisance,
        Self::Other,
    ];

    /// Name in the database and in forms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Report => "report",
            Self::Emergency => "emergency",
            Self::Superior => "superior",
            Self::Citizen => "citizen",
            Self::Inquiry => "inquiry",
            Self::SpotCheck => "spot_check",
            Self::Fax => "fax",
            Self::LineTest => "line_test",
            Self::WrongNumber => "wrong_number",
            Self::Nuisance => "nuisance",
            Self::Other => "other",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }

    /// Chinese and English.
    pub fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Notice => ("公务通知", "Official notice"),
            Self::Report => ("情况报告", "Situation report"),
            Self::Emergency => ("突发事件", "Emergency"),
            Self::Superior => ("上级要情核报", "Superior's request"),
            Self::Citizen => ("群众来电", "Citizen's call"),
            Self::Inquiry => ("咨询", "Inquiry"),
            Self::SpotCheck => ("查岗", "Spot check"),
            Self::Fax => ("传真", "Fax"),
            Self::LineTest => ("试线", "Line test"),
            Self::WrongNumber => ("打错", "Wrong number"),
            Self::Nuisance => ("骚扰", "Nuisance"),
            Self::Other => ("其他", "Other"),
        }
    }

    /// 无需办理: registering it closes it.
    pub fn needs_no_action(self) -> bool {
        match self {
            Self::WrongNumber | Self::Nuisance | Self::LineTest => true,
            Self::Notice
            | Self::Report
            | Self::Emergency
            | Self::Superior
            | Self::Citizen
            | Self::Inquiry
            | Self::SpotCheck
            | Self::Fax
            | Self::Other => false,
        }
    }

    /// Fields that must be filled in before the entry counts as registered: as many as fit the
    /// matter, never one giant form (6.4, C-36). "未掌握" is an answer.
    pub fn required(self) -> &'static [Field] {
        use Field::*;
        match self {
            Self::WrongNumber | Self::Nuisance | Self::LineTest => &[],
            Self::SpotCheck | Self::Fax => &[CallerUnit],
            Self::Notice | Self::Report | Self::Superior => {
                &[CallerUnit, CallerName, CallerPhone, Subject, Content]
            }
            Self::Citizen => &[CallerName, Subject, Content],
            Self::Inquiry | Self::Other => &[Subject, Content],
            Self::Emergency => &[
                CallerUnit,
                CallerName,
                CallerPhone,
                Subject,
                EventTime,
                EventPlace,
                EventSource,
                EventCause,
                EventCourse,
                EventHarm,
                EventExtent,
                EventTrend,
                EventMeasures,
            ],
        }
    }
}

/// One box of the form (telephone record, domain §2.7(1); the nine elements, §2.7(4)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Category,
    CallerUnit,
    CallerName,
    CallerDuty,
    CallerPhone,
    Subject,
    Content,
    EventTime,
    EventPlace,
    EventSource,
    EventCause,
    EventCourse,
    EventHarm,
    EventExtent,
    EventTrend,
    EventMeasures,
    Proposal,
    Undertaker,
    Result,
    Remark,
}

impl Field {
    pub const ALL: [Self; 20] = [
        Self::Category,
        Self::CallerUnit,
        Self::CallerName,
        Self::CallerDuty,
        Self::CallerPhone,
        Self::Subject,
        Self::Content,
        Self::EventTime,
        Self::EventPlace,
        Self::EventSource,
        Self::EventCause,
        Self::EventCourse,
        Self::EventHarm,
        Self::EventExtent,
        Self::EventTrend,
        Self::EventMeasures,
        Self::Proposal,
        Self::Undertaker,
        Self::Result,
        Self::Remark,
    ];

    /// Name in the database and in forms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::CallerUnit => "caller_unit",
            Self::CallerName => "caller_name",
            Self::CallerDuty => "caller_duty",
            Self::CallerPhone => "caller_phone",
            Self::Subject => "subject",
            Self::Content => "content",
            Self::EventTime => "event_time",
            Self::EventPlace => "event_place",
            Self::EventSource => "event_source",
            Self::EventCause => "event_cause",
            Self::EventCourse => "event_course",
            Self::EventHarm => "event_harm",
            Self::EventExtent => "event_extent",
            Self::EventTrend => "event_trend",
            Self::EventMeasures => "event_measures",
            Self::Proposal => "proposal",
            Self::Undertaker => "undertaker",
            Self::Result => "result",
            Self::Remark => "remark",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Chinese and English.
    pub fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Category => ("类别", "Category"),
            Self::CallerUnit => ("来电单位", "Caller's unit"),
            Self::CallerName => ("来电人姓名", "Caller's name"),
            Self::CallerDuty => ("职务", "Position"),
            Self::CallerPhone => ("联系电话", "Phone"),
            Self::Subject => ("事由", "Subject"),
            Self::Content => ("来电内容", "Content"),
            Self::EventTime => ("事发时间", "When it happened"),
            Self::EventPlace => ("地点", "Place"),
            Self::EventSource => ("信息来源", "Source of the information"),
            Self::EventCause => ("起因和性质", "Cause and nature"),
            Self::EventCourse => ("基本过程", "Course"),
            Self::EventHarm => ("已造成的后果", "Harm done"),
            Self::EventExtent => ("影响范围", "Extent"),
            Self::EventTrend => ("发展趋势和处置情况", "Trend and handling"),
            Self::EventMeasures => ("拟采取措施", "Intended measures"),
            Self::Proposal => ("拟办意见", "Proposed handling"),
            Self::Undertaker => ("承办单位", "Undertaking unit"),
            Self::Result => ("办理结果", "Result"),
            Self::Remark => ("备注", "Remark"),
        }
    }

    /// One of the nine elements of an event report; shown for 突发事件.
    pub fn of_an_event(self) -> bool {
        Self::EventTime <= self && self <= Self::EventMeasures
    }

    /// Longest text, in characters.
    pub fn limit(self) -> usize {
        match self {
            Self::Category | Self::CallerPhone => 40,
            Self::CallerUnit
            | Self::CallerName
            | Self::CallerDuty
            | Self::EventTime
            | Self::EventPlace
            | Self::Undertaker => 200,
            Self::Subject => 400,
            Self::Content
            | Self::EventSource
            | Self::EventCause
            | Self::EventCourse
            | Self::EventHarm
            | Self::EventExtent
            | Self::EventTrend
            | Self::EventMeasures
            | Self::Proposal
            | Self::Result
            | Self::Remark => 20_000,
        }
    }
}

/// Where an entry stands (domain §4.3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// 待填写
    #[default]
    Stub,
    /// 已登记
    Registered,
    /// 办理中
    InProgress,
    /// 已办结
    Closed,
    /// 重新打开
    Reopened,
}

/// The texts of a form; a field that is not there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Form(BTreeMap<Field, String>);

impl Form {
    pub fn get(&self, field: Field) -> &str {
        self.0.get(&field).map_or("", String::as_str)
    }

    pub fn set(&mut self, field: Field, text: impl Into<String>) {
        let text = text.into();
        if text.is_empty() {
            self.0.remove(&field);
        } else {
            self.0.insert(field, text);
        }
    }

    pub fn category(&self) -> Option<Category> {
        Category::from_name(self.get(Field::Category))
    }

    /// What is still to be filled in before the entry can be registered.
    pub fn missing(&self) -> Vec<Field> {
        let Some(category) = self.category() else { return vec![Field::Category] };
        let empty = |field: &Field| self.get(*field).trim().is_empty();
        category.required().iter().copied().filter(empty).collect()
    }

    /// What is still to be filled in before the entry can be closed: the result too, where anything
    /// was to be done (domain §4.3.2).
    pub fn missing_to_close(&self) -> Vec<Field> {
        let mut missing = self.missing();
        if !self.needs_no_action() && self.get(Field::Result).trim().is_empty() {
            missing.push(Field::Result);
        }
        missing
    }

    /// 打错, 骚扰, 试线
    pub fn needs_no_action(&self) -> bool {
        self.category().is_some_and(Category::needs_no_action)
    }

    /// 要素齐全度 in percent; the category itself is one element.
    pub fn completeness(&self) -> u8 {
        let Some(category) = self.category() else { return 0 };
        let all = category.required().len() + 1;
        let there = all - self.missing().len();
        u8::try_from(there * 100 / all).unwrap_or(100)
    }
}

/// A text as it is kept, or the limit it broke: line ends as `\n`, no other control characters.
pub fn tidy(field: Field, text: &str) -> Result<String, usize> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let kept = |c: &char| !c.is_control() || *c == '\n' || *c == '\t';
    let text: String = text.chars().filter(kept).collect();
    if text.chars().count() > field.limit() { Err(field.limit()) } else { Ok(text) }
}

/// 北京时间
pub fn beijing() -> FixedOffset {
    FixedOffset::east_opt(8 * 3600).expect("eight hours is an offset")
}

/// The calendar day in Beijing, by which calls and entries are numbered.
pub fn day(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&beijing()).date_naive()
}

/// When the duty day (值班日) of `at` began: 08:30 in Beijing.
pub fn duty_day_began(at: DateTime<Utc>) -> DateTime<Utc> {
    let shifted = at - Duration::minutes(8 * 60 + 30);
    let midnight = day(shifted).and_time(chrono::NaiveTime::MIN).and_utc();
    midnight + Duration::minutes(30)
}

/// For so long what was under way at the handover is still written down by whoever began it.
const HANDING_OVER: Duration = Duration::hours(1);

/// Whether what is written needs a reason (I-4, A-05): whatever is done to a closed entry; and what is changed in one whose shift
/// has been handed over, where a text stood.
pub fn needs_reason(
    state: EntryState,
    occurred: DateTime<Utc>,
    old: &str,
    now: DateTime<Utc>,
) -> bool {
    let handed_over = occurred < duty_day_began(now - HANDING_OVER);
    state == EntryState::Closed || handed_over && !old.is_empty()
}

/// Chinese and English.
pub fn urgency_label(urgency: Urgency) -> (&'static str, &'static str) {
    match urgency {
        Urgency::Routine => ("平", "routine"),
        Urgency::Urgent => ("急", "urgent"),
        Urgency::Critical => ("特急", "critical"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn names_are_what_serde_writes() {
        for field in Field::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
        for category in Category::ALL {
            assert_eq!(serde_json::to_value(category).unwrap(), category.name());
        }
    }

    #[test]
    fn a_wrong_number_needs_one_element_and_an_emergency_nine_and_the_contact() {
        let mut form = Form::default();
        assert_eq!(form.missing(), [Field::Category]);
        form.set(Field::Category, "wrong_number");
        assert_eq!(form.missing(), []);
        assert_eq!(form.completeness(), 100);
        form.set(Field::Category, "emergency");
        let missing = form.missing();
        assert_eq!(missing.iter().filter(|field| field.of_an_event()).count(), 9);
        assert!(missing.contains(&Field::CallerPhone));
        form.set(Field::EventPlace, " \n");
        assert!(form.missing().contains(&Field::EventPlace), "white space is no answer");
    }

    #[test]
    fn days_are_those_of_beijing() {
        let late = Utc.with_ymd_and_hms(2026, 10, 2, 16, 0, 0).unwrap();
        assert_eq!(day(late).to_string(), "2026-10-03");
        let began = |h, m| duty_day_began(Utc.with_ymd_and_hms(2026, 10, 3, h, m, 0).unwrap());
        assert_eq!(began(0, 29), Utc.with_ymd_and_hms(2026, 10, 2, 0, 30, 0).unwrap());
        assert_eq!(began(0, 30), Utc.with_ymd_and_hms(2026, 10, 3, 0, 30, 0).unwrap());
        assert_eq!(began(23, 59), Utc.with_ymd_and_hms(2026, 10, 3, 0, 30, 0).unwrap());
    }

    #[test]
    fn a_text_keeps_its_lines_and_loses_control_characters() {
        assert_eq!(tidy(Field::Content, "a\r\nb\u{0}\u{7}c").unwrap(), "a\nbc");
        assert_eq!(tidy(Field::CallerPhone, &"1".repeat(41)), Err(40));
    }
}
