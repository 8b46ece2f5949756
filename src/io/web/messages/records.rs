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
        search_urgency: "紧急程度", "Urgency";
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
        search_incomplete: "索引不全：有记录没有编入索引，查询结果可能缺少。重新启动服务后会自动重建索引。", "The index is not whole: entries are missing from what is found. It is made anew when the service is started again.";
        search_too_wide: "条件太宽，没有及时查完。请增加条件或缩小日期范围。", "Too wide to be answered in time: add a condition, or fewer days.";

        not_for_admin: "系统管理员账号不办值班业务：不看记录、不听录音、不动值班表。请用值班员或带班领导账号。", "An administrator's account does none of the room's work: no entries, no recordings, no roster. Sign in as an officer or a leader.";
        player_wave: "录音波形：上为对方，下为我方。单击跳到那一秒，拖动选取一段", "Waveform: above the other side, below ours. Click to go to a second, drag to choose a part";
        player_no_wave: "波形暂时画不出来，录音仍可播放。", "The waveform cannot be drawn; the recording plays all the same.";
        player_speed: "语速（音调不变）", "Speed (pitch stays)";
        player_side: "声道", "Sides";
        player_both: "双方", "Both sides";
        player_mixed: "双方混合（单耳机）", "Both, mixed (one ear)";
        player_caller: "只听来电方", "Caller only";
        player_called: "只听对方", "Called party only";
        player_ours: "只听我方", "Our side only";
        player_loop: "循环", "Loop";
        player_loop_hint: "循环播放选取的一段；没有选取时循环全部", "Plays the chosen part again and again, or all of it";
        player_why: "听取原因", "Why";
        player_why_choose: "请先选择…", "Choose first…";
        player_why_needed: "请先选择听取原因，再播放。", "Say why first, then play.";
        player_listen: "听", "Listen";
        player_mark: "标记此处", "Mark this place";
        player_mark_text: "标记说明（可不填）", "What is there (may be empty)";
        bookmarks: "录音标记", "Marks in the recording";
        bookmark_take_back: "取消这个标记", "Take this mark back";
        bookmark_refused: "没有标上：录音没有那么长，或标记已满 200 个，或已被取消。", "Not marked: the recording is shorter, has 200 marks, or the mark was taken back.";
        derived: "脱敏件", "Redacted copies";
        derived_hint: "原件不动，另存一份：所选一段静音，附原件的 SHA-256、理由与制作人。", "The original stays as it is; in a copy the stretch is silent, with the original's SHA-256, the reason and who made it.";
        derived_from: "从（分:秒）", "From (m:ss)";
        derived_to: "到（分:秒）", "To (m:ss)";
        derived_side: "静音", "Silent";
        derived_left: "对方", "The other side";
        derived_right: "我方", "Our side";
        derived_reason: "理由", "Reason";
        derived_make: "制作脱敏件", "Make a copy";
        derived_refused: "没有做成：起止时间不对，或超出录音，或未填理由，或已满 50 份。", "Not made: the times are wrong or beyond the recording, the reason is missing, or there are 50 already.";
        derived_no_room: "没有做成：录音磁盘空间不足，要留给通话录音；请先腾出空间。", "Not made: the disk has no room beside what calls need; make room first.";
        derived_failed: "没有做成：原件读不到或与记录不符，或磁盘有问题，请管理员核查。", "Not made: the original cannot be read or is not what the log says, or the disk refuses: see to it.";
        typed: "边听边记", "Written while talking";
        typed_hint: "单击一行，从写下它的那一秒听起。", "Click a line to hear the second at which it was written.";
        why_check: "核对记录", "To check the entry";
        why_follow: "追查事项", "To follow up the matter";
        why_handover: "交接班", "Handover";
        why_leader: "领导要求", "Asked for by a leader";
        why_quality: "检查录音质量", "To check the recording";
        why_other: "其他", "Other";
    } };
}
