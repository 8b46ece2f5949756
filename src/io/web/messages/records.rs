//! Texts of what is looked for and listened to afterwards.

/// The texts that it is given, and these.
macro_rules! with_records {
    ($($others:tt)*) => { messages! {
        $($others)*

        search: "记录查询", "Search";
        search_words: "号码、姓名、单位或内容", "Number, name, unit or text";
        search_words_hint: "几个词用空格分开，须同时出现；引号内的当作一个词。号码只填一部分也可以。更正前的内容也查得到。", "Words parted by blanks must all be there; what stands in quotation marks is one. Part of a number is enough. What was corrected is found as well.";
        search_from: "从", "From";
        search_to: "到（含当日）", "To (that day included)";
        search_outcome: "通话结果", "How the call ended";
        search_urgency: "急缓", "Urgency";
        search_any: "不限", "any";
        search_answered: "已接听", "Answered";
        search_no_recording: "无录音", "No recording";
        search_do: "查询", "Search";
        search_ask: "请填写至少一个条件。谁查了什么会记入审计。", "Give at least one condition. Who searched for what is written into the audit.";
        search_none: "没有符合条件的记录。", "Nothing was found.";
        search_count: "共 {} 条", "{} found";
        search_count_more: "{} 条以上", "{} or more";
        search_newest: "← 最新的", "← The newest";
        search_older: "更早的 →", "Older →";
        search_gone: "更正前", "Before it was corrected";
        search_indexing: "程序升级后正在为旧记录建立索引，较早的记录暂时查不到。", "Older entries are being indexed after an update and are not found yet.";
        search_too_wide: "条件太宽，没有及时查完。请增加条件或缩小日期范围。", "Too wide to be answered in time: add a condition, or fewer days.";
    } };
}
