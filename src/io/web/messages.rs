//! Every text the page shows, in Chinese and English; a text that lacks one does not compile.

pub use super::language::Language;

macro_rules! messages {
    ($($(#[$doc:meta])* $key:ident: $zh:literal, $en:literal;)*) => {
        /// The page's texts in one language.
        #[derive(Debug)]
        pub struct Messages {
            $($(#[$doc])* pub $key: &'static str,)*
        }
        pub static ZH: Messages = Messages { $($key: $zh,)* };
        pub static EN: Messages = Messages { $($key: $en,)* };
    };
}

/// Puts `value` where the text says `{}`.
pub fn fill(text: &str, value: impl std::fmt::Display) -> String {
    text.replacen("{}", &value.to_string(), 1)
}

/// As [`fill`], for a text with two such places.
pub fn fill_two(text: &str, first: &str, second: &str) -> String {
    let mut parts = text.splitn(3, "{}");
    let mut part = || parts.next().unwrap_or_default();
    [part(), first, part(), second, part()].concat()
}

#[macro_use]
mod records;
#[macro_use]
mod escalation;
#[macro_use]
mod exercises;
pub mod keeping;
pub mod policy;

with_exercises! {
    other_language_code: "en", "zh";
    other_language: "English", "中文";
    duty_desk: "值班台", "Duty desk";
    sign_in: "登录", "Sign in";
    sign_out: "退出", "Sign out";
    account: "账号", "Account";
    password: "口令", "Password";
    password_again: "再输一次口令", "Password again";
    your_name: "姓名（写入值班记录）", "Your name (written into the log)";
    show_password: "显示口令", "Show password";
    bad_login: "账号或口令不正确。忘记口令，请管理员在服务器上执行 dutyline user password 账号。", "Account or password is wrong. Forgotten: the administrator runs dutyline user password ACCOUNT on the server.";
    slow_down: "尝试次数过多，请 {} 秒后再试。", "Too many attempts. Try again in {} seconds.";
    first_title: "创建第一个账号", "Create the first account";
    first_intro: "每人一个账号，不得共用。本链接只能使用一次。", "One account for each person, never shared. This link works once.";
    first_used: "该链接已失效或已使用。请用账号登录；没有账号时请在服务器上执行 dutyline user add。", "This link no longer works. Sign in with your account; if there is none, run dutyline user add on the server.";
    create_account: "创建账号", "Create account";
    account_rule: "登录时使用", "Used to sign in";
    password_rule: "8 至 128 个字符，可以是一句话。", "8 to 128 characters; a sentence is fine.";
    password_differs: "两次口令不一致，请重新输入。", "The two passwords differ: type them again.";
    name_taken: "该账号已有人使用，请换一个。", "Somebody has this account already: choose another.";
    link_login: "您正在用一次性链接登录。", "You are signing in with a link that works once.";

    demo: "演示", "Demo";
    demo_explained: "电话、人员和数据均为模拟，退出后不保留。", "Telephones, people and data are simulated; nothing is kept.";
    demo_call: "模拟来电", "Simulate a call";
    demo_busy: "演示正在进行，请稍候。", "The demo is busy. Please wait.";

    line: "专线", "Line";
    line_starting: "正在注册", "Registering";
    line_up: "在线", "Online";
    line_lost: "离线", "Offline";
    line_lost_alarm: "值班专线离线，录音中断。请用备用电话并手工登记；检查交换机和网络。", "The duty line is offline and nothing is recorded. Use the spare telephone and log by hand; check the PBX and the network.";
    recorder: "录音", "Recorder";
    log: "记录", "Log";
    part_ok: "正常", "OK";
    part_failed: "故障", "Failed";
    recorder_alarm: "录音故障，通话照常进行但未录音：{}", "The recorder failed. Calls go on but are not recorded: {}";
    log_alarm: "值班记录暂时无法写入，来电照常振铃，请手工登记：{}", "The log cannot be written. Calls still ring; log them by hand: {}";
    storage: "存储", "Storage";
    days_left: "{} 天", "{} days";
    days_plenty: "充足", "plenty";
    page_live: "实时", "Live";
    page_lost: "页面断线", "Page offline";
    page_lost_alarm: "页面与服务器断开，正在重连，灰色的状态是断开前的，是否在录音无法确认。来电请看电话机，先用纸记录；紧急请在话机上按 *9。", "The page lost the server and is reconnecting; what is grey was so before, and whether calls are recorded is not known. Mind the telephone and write on paper; an urgent matter: *9 on the telephone.";
    siren_off: "警报声未开启，请点此", "The siren is off: click here";
    session_ends: "登录 {} 到期，请点此重新登录", "The session ends at {}: click to sign in again";
    session_soon: "登录即将到期。现在重新登录，页面和正在写的内容不变。", "The session ends soon. Sign in now; the page and what you write stay.";
    session_over: "登录已过期，页面不再更新，请重新登录；已写的内容留在本机，登录后自动保存。来电请看电话机。", "The session is over and the page tells nothing new: sign in again. What you wrote is kept on this computer and saved then. Mind the telephone.";
    session_over_flag: "登录已过期，请重新登录；紧急请在话机上按 *9。", "the session is over: sign in again. An urgent matter: *9 on the telephone.";
    session_expired: "登录已过期，刚才的操作没有执行，请重新登录。", "The session is over and nothing was done: sign in again.";
    later: "稍后", "Later";
    left_drafts: "本机留有 {} 未存入的登记内容：请本人登录，即自动存入；或点开查看，代为登记", "Text of {} on this computer was never saved: it is saved when they sign in here; or open it and enter it for them";
    left_draft_done: "已代为登记，删除", "Entered: delete";
    since: "自 {} 起", "since {}";
    outage: "中断 {}", "down {}";

    list_title: "值班记录", "Log";
    list_empty: "尚无记录。来电时会自动登记。", "No entries yet. Each call is logged by itself.";
    list_more: "显示更早的记录", "Show older entries";
    list_failed: "暂时读不出值班记录，请稍候。", "The log cannot be read at the moment.";
    no_number: "无来电显示", "No caller number";
    unknown_contact: "未识别", "Unknown";
    claims_to_be: "自称", "claims";
    unverified: "未核实", "Unverified";
    unverified_hint: "号码由来电方自报，交换机未核实", "The caller's side says so; the PBX does not vouch for it";
    vouched: "交换机核实", "Vouched for by the PBX";
    wants_privacy: "要求隐藏号码", "Asked to be withheld";
    number_taken_from: "号码取自 {}", "number from {}";
    called: "拨入 {}", "to {}";
    diverted: "来自 {}，经 {} 转移", "from {}, diverted by {}";
    diverted_by: "经 {} 转移", "diverted by {}";
    diverted_nobody: "未知号码", "an unknown number";
    diverted_unconditional: "无条件", "always";
    diverted_busy: "遇忙", "busy";
    diverted_no_answer: "无应答", "no answer";
    diverted_unreachable: "不可及", "unreachable";
    diverted_time_of_day: "按时段", "by time of day";
    diverted_do_not_disturb: "免打扰", "do not disturb";
    diverted_deflection: "手动转移", "deflected";
    claims: "主叫信息", "Caller's headers";
    claims_chosen: "采用", "used";

    ringing: "振铃", "Ringing";
    dialling: "拨号", "Dialling";
    nth_call: "今日第 {} 次来电", "call no. {} today";
    in_call: "通话中", "Talking";
    ended: "已结束", "Ended";
    missed: "漏接", "Missed";
    abandoned: "对方挂断", "Caller gave up";
    answered_elsewhere: "他处接听", "Answered elsewhere";
    busy_missed: "占线未接", "Missed: busy";
    declined: "拒接", "Declined";
    failed: "未接通", "Failed";
    interrupted: "中断", "Interrupted";
    queued: "排队", "Waiting";
    held: "保持", "On hold";
    leaving_message: "留言中", "Leaving a message";
    left_message: "留言", "Left a message";

    callback: "回拨", "Call back";
    callback_open: "待回拨", "To call back";
    called_back: "已回拨", "Called back";
    callback_impossible: "无法回拨", "Cannot be called back";
    callback_why: "无法回拨的原因（必填）", "Why it cannot be done (required)";
    callback_none: "没有需要回拨的来电。", "There is nothing to call back.";
    callback_settled: "已有人处理。", "Somebody has settled it already.";

    fax_heard: "{} 听到传真机信号音：对方可能在发传真，请告知传真机号码或请其重发到传真机", "Fax tone heard at {}: the caller may be a fax machine; give the fax number, or ask to send it there";

    stretches: "通话过程", "Course of the call";
    stretch_early: "接听前可闻", "Heard before the answer";
    stretch_queued: "排队", "Waited";
    leg_rung: "接听", "Answered";
    leg_transfer: "转接", "Handed over";
    leg_pickup: "代接", "Picked up";
    leg_conference: "加入", "Joined";
    leg_out: "呼出", "Called";
    leg_failed: "未接通", "Not reached";
    stretch_message: "留言", "Message";
    stretch_hold_caller: "来电方保持", "Held by the caller";
    stretch_hold_called: "对方保持", "Held by the called party";
    stretch_hold_officer: "值班方保持", "Held by the officer";

    voice: "通话质量", "Voice quality";
    voice_good: "好", "good";
    voice_fair: "一般", "fair";
    voice_poor: "差", "poor";
    voice_unjudged: "待测", "not judged yet";
    voice_caller: "来电方", "Caller";
    voice_called: "对方", "Called party";
    voice_officer: "值班员", "Officer";
    voice_leader: "领导", "Leader";
    voice_lost: "丢包", "lost";
    voice_late: "迟到", "late";
    voice_reordered: "乱序", "out of order";
    voice_jitter: "抖动", "jitter";
    voice_worst: "最低 {}（{}）", "worst {} ({})";
    voice_rtt: "往返", "round trip";
    voice_far: "对端丢包", "lost on the way to them";
    call_out: "呼出", "Outgoing call";
    call_somebody: "拨号", "Call";
    call_number: "呼叫", "Call";
    call_hint: "先振本席话机，接起后呼叫", "Rings your telephone first, then";
    call_back_hint: "回拨：先振本席话机，接起后呼叫", "Call back: rings your telephone first, then";
    hang_up: "挂断", "Hang up";
    placed_at: "呼出", "Called";
    asked_by: "呼出人", "by";
    about_entry: "关于", "about";
    out_no_answer: "无人接听", "No answer";
    out_busy: "对方忙", "Busy";
    out_declined: "对方拒接", "Declined";
    out_given_up: "已取消", "Given up";
    own_phone_not_taken: "本席话机未接通：", "your own telephone was not picked up: ";
    recording_channels_out: "左声道：对方 · 右声道：我方", "Left: the called party · right: our side";
    dial_placeholder: "号码、姓名或单位", "Number, name or unit";
    dial_first: "先振话机", "Rings first";
    dial_no_number: "没有可拨的号码。请填写完整号码，外地固定电话带区号。", "There is no number to call. Write it in full, a landline of another town with its area code.";
    dial_ourselves: "这是本席话机或值班专线自己的号码。", "This is your own telephone, or the duty line itself.";
    dial_not_named: "这个号码不在允许呼出的范围内。确需呼出时，请管理员在设置文件 [dial] 的 allow 中加上。", "This number may not be called from here. If it must, the administrator adds it to allow in [dial] of the configuration.";
    dial_too_many: "今天呼出次数已达上限（[dial] 的 per_day），零时恢复；110、119、120、122 和领导不受限。", "The calls of today are used up (per_day in [dial]) until midnight; 110, 119, 120, 122 and the leaders can still be called.";
    dial_no_phone: "设置文件里没有这部话机，请另选一部。", "There is no such telephone in the configuration; choose another.";
    dial_no_channel: "语音通道已全部占用，请稍后再拨。", "All voice channels are taken; try again in a moment.";
    dial_stopping: "服务正在停止，请用其他电话。", "The service is stopping; use another telephone.";
    dial_unanswered: "没有及时得到答复，请看话机是否振铃；没有振铃请用话机直接拨打。", "No answer in time: see whether your telephone rings; if not, dial on it yourself.";
    contacts_none: "没有找到联系人；可直接拨上面的号码。", "Nobody found; what is written above can be called.";
    contacts_more: "只列出一部分，请输入姓名、单位或号码查找。", "Not all are shown: write a name, unit or number.";

    stub: "待填写", "To fill in";
    registered: "已登记", "Registered";
    in_progress: "办理中", "In progress";
    closed: "已办结", "Closed";
    reopened: "重新打开", "Reopened";

    routine: "平", "Routine";
    urgent: "急", "Urgent";
    critical: "特急", "Critical";
    flagged_aside: "值班记录暂时无法写入，标记已由电话系统记下，正在直接呼叫领导；请同时人工联系", "The log takes nothing just now; the telephone has noted the flag and calls the leaders; call them by hand as well";
    flag_urgent_hint: "标为急并立即呼叫带班领导", "Flag urgent and call the duty leader now";
    flag_critical_hint: "标为特急并立即呼叫带班领导", "Flag critical and call the duty leader now";
    wrong_number: "打错", "Wrong number";
    nuisance: "骚扰", "Nuisance";

    incoming: "来电", "Incoming call";
    please_answer: "请接听", "Please answer";
    rung_for: "已响", "Ringing for";
    seconds_short: "秒", "s";
    open_entry: "登记", "Open entry";
    open: "打开", "Open";
    hide_popup: "收起", "Hide";
    answered_popup: "已接听", "Answered";

    nothing_open: "选择一条记录，或等待来电。", "Choose an entry, or wait for a call.";
    nothing_open_keys: "F1 打开最新来电 · F2 急 · F3 特急 · F4 拨号 · F7 打错 · F8 骚扰", "F1 newest call · F2 urgent · F3 critical · F4 call · F7 wrong number · F8 nuisance";
    needs_script: "本页需要启用 JavaScript。", "This page needs JavaScript.";
    entry_unread: "这条记录暂时打不开（值班记录无法写入或页面断线），请先用纸记录；紧急请在话机上按 *9。", "This entry cannot be opened at the moment (the log takes nothing, or the page is offline): write on paper; an urgent matter: *9 on the telephone.";
    entry_gone: "没有这条记录。", "There is no such entry.";

    arrived_at: "来电", "Arrived";
    answered_at: "接听", "Answered";
    ended_at: "挂断", "Ended";
    ring_time: "振铃", "Rang";
    talk_time: "通话", "Talked";
    answered_by: "话机", "Phone";

    not_chosen: "未选择", "Not chosen";

    saving: "正在保存…", "Saving…";
    saved: "已保存", "Saved";
    not_saved: "未保存，正在重试；内容已留在本机", "Not saved, trying again; your text is kept on this computer";
    draft_found: "找到上次未保存的内容，正在保存", "Found text that was not saved; saving it";
    conflict: "他人已改为：", "Somebody else wrote:";
    keep_mine: "保留我的", "Keep mine";
    take_theirs: "采用对方的", "Take theirs";
    refused: "操作未完成：", "Not done: ";
    server_away: "服务器没有应答，请再试一次。", "The server did not answer. Try again.";
    text_too_long: "内容太长，未保存。", "The text is too long and was not saved.";

    register: "登记完毕", "Register";
    complete: "办结", "Close entry";
    change_needs_reason: "这条记录已办结或已交班，更改须写明原因；写明前不会保存，内容留在本机。", "It is closed, or its shift is over: a change needs a reason and is not saved without; your text is kept on this computer.";
    change_reason: "更改的原因", "Why it is changed";
    change_save: "保存更改", "Save the change";
    change_drop: "放弃更改", "Drop the change";
    missing_now: "请先补全：", "fill in first: ";
    list_comma: "、", ", ";
    take_class_back: "撤销（误按）", "Undo";
    reopen: "重新打开", "Reopen";
    reopen_reason: "重新打开的原因", "Why it is opened again";
    reopen_needs_reason: "请填写重新打开的原因", "Say why it is opened again";
    not_closed: "这条记录未办结，或其后已有修改，无需重新打开", "It is not closed, or was changed since";
    complete_missing: "办结前请补全：", "To close, fill in:";
    complete_ready: "要素齐全，可以办结。", "Everything needed is there.";
    reason: "原因", "Reason";
    reason_needed: "必须填写原因。", "A reason is required.";

    roster: "值班表", "Roster";
    roster_found: "能不能联系上", "Whether they can be had";
    roster_now: "现在由谁负责", "Who holds each role now";
    roster_list_hint: "人员和号码在配置文件 [[leaders]] 里；未排班的角色由其中列出的人担任。", "People and numbers stand in the configuration, [[leaders]]; a role that nobody is put on duty for is held as listed there.";
    roster_entered: "排班与替班", "Duties and substitutions";
    roster_instead: "替", "for";
    substitution: "替班", "Substitution";
    roster_absent: "被替的人", "Absent";
    roster_stands_in: "替班的人", "Stands in";
    roster_from: "从", "From";
    roster_from_hint: "不填为立即", "at once unless given";
    roster_to: "到", "To";
    roster_to_hint: "不填为直到另行安排", "until changed unless given";
    until_changed: "另行安排为止", "until changed";
    roster_approved: "批准人", "Approved by";
    roster_approved_hint: "职级较低时须由中心主要领导批准", "of a lower rank: a head of the centre";
    roster_approved_none: "同级，无需批准", "Same rank: nobody";
    roster_no_head: "配置文件 [[leaders]] 里没有中心主要领导（role = \"head\"），请管理员补上。", "The configuration, [[leaders]], has no head (role = \"head\"): the administrator adds one.";
    roster_entered_by: "登记人", "entered by";
    roster_duty: "排班", "Put on duty";
    roster_role: "角色", "Role";
    roster_person: "人员", "Person";
    roster_enter: "登记", "Enter";
    roster_withdraw: "撤销", "Withdraw";
    roster_unknown: "此人不在配置文件 [[leaders]] 里，请从列表中选择。", "Not in the configuration, [[leaders]]: choose one of the list.";
    roster_same: "替班的人就是被替的人，请选配置文件里的另一位。", "That is the person who is absent: choose another of the configuration.";
    roster_when: "时间不对：结束要晚于开始，也要晚于现在，请改。", "The times do not fit: the end comes after the beginning and after now.";
    roster_when_from: "时间不对：请填写完整的日期和时间。", "The time does not fit: give the day and the time.";
    roster_no_number: "此人没有可拨的号码，有紧急事项时找不到。", "This person has no number that can be dialled.";
    roster_lower: "职级低于带班领导，不能排班带班；请登记为替班，由中心主要领导批准。", "Of a lower rank than the duty leader: enter him as a substitute, whom the head approves.";
    roster_role_unknown: "没有这个角色。", "There is no such role.";
    roster_rank: "替班的人职级较低，须由中心主要领导批准：请在这里选择批准人。", "Of a lower rank: a head must approve; choose whom.";
    roster_not_head: "批准人须是中心主要领导，请从列表中选择。", "Only a head approves: choose one of the list.";
    officer: "值班员", "Duty officer";
    recording: "录音", "Recording";
    recording_none: "无录音", "No recording";
    recording_not_yet: "接听后开始录音", "Begins when answered";
    recording_now: "正在录音", "Recording";
    recording_finalizing: "正在收尾", "Being sealed";
    recording_sealed: "已存妥", "Sealed";
    recording_partial: "不完整", "Incomplete";
    recording_missing: "缺失", "Missing";
    recording_channels: "左声道：来电方 · 右声道：我方", "Left: caller · right: our side";
    digest: "校验值", "Digest";
    recording_safe: "已安全写盘", "Safe on disk";
    recording_ours: "我方", "Our side";
    not_recording: "未在录音，请手工记录", "NOT RECORDING, write it down";
    recording_keys: "按键", "Keys";
    recall: "回听（通话继续录音）", "Hear again (the call goes on being recorded)";
    recall_seconds: "最近 30 秒", "Last 30 s";
    recall_minutes: "最近 5 分钟", "Last 5 min";
    listen: "旁听", "Listen";
    listen_stop: "停止旁听", "Stop listening";
    listen_why: "旁听理由（记入审计，值班员可见）", "Why (noted in the audit; the officer sees who listens)";
    listen_why_needed: "请写明旁听理由。", "Say why.";
    listen_full: "旁听的人已满，请稍后再试。", "As many as can are listening: try again in a while.";
    listened_to: "正在旁听：", "Listening: ";
    recall_none: "该通话没有正在录音的内容", "Nothing of this call is being recorded";
    recording_gaps: "无语音包的空白", "Gaps without packets";
    recording_untaped: "（主机太忙，{} 个语音包没有录下）", "(the host was too busy: {} packets not recorded)";
    recording_other_length: "录音与通话时间不符：录音 {}，通话 {}", "The recording does not fit the call: recording {}, call {}";
    last_good: "上次完好录音 {}", "Last good recording {}";
    copies: "第二份录音", "Second copy";
    copies_whole: "齐全", "whole";
    copies_left: "还差 {} 个文件", "{} files missing";
    self_test: "录音自检", "Self-test";
    recording_given_up: "已同意销毁，待清除", "Given up, still on the disks";
    recording_destroyed: "已销毁", "Destroyed";
    recording_given_up_at: "两人于 {} 同意销毁；尚未清除，封存可保留", "Two people agreed at {} to destroy it; until it is gone a hold keeps it";
    recording_gone_at: "按规定由两人按清单销毁，{} 清除", "Destroyed at the end of its term by two people: gone at {}";
    keeping: "录音保管", "Keeping";
    self_test_hint: "给值班电话打一个自检电话，核对录音，约 10 秒，话机不响。每班接班时做一次。", "Calls the duty line and checks the recording: ten seconds, no telephone rings. Once at the start of each shift.";
    self_test_good: "通过", "good";
    self_test_bad: "未通过", "NOT GOOD";
    self_test_never: "未做过", "never done";
    fault_absent: "没有语音传来", "no voice arrives";
    fault_undecodable: "语音无法解码", "not decodable";
    fault_silent: "完全静音", "dead silence";
    fault_muted: "静音中", "muted";
    fault_static: "持续噪声，不是人声", "static, no voice";
    fault_tone: "持续单音，不是人声", "a tone, no voice";
    fault_clipped: "声音过大，已失真", "too loud, clipped";
    fault_faint: "声音过小", "too faint";

    time_unverified: "时间未核对", "Time unverified";
    time_error: "估计误差 {} 秒以内", "may be up to {} s out";
    time_error_days: "时钟被调整过，误差可达 {} 天", "the clock was set and may be {} days out";
    time_unverified_hint: "当时没有时间服务器校正本机时钟；之后的校正量见“时段”页。", "No time server corrected the clock at that time; by how much it was set later is on the page of the period.";
    export: "导出取证包", "Hand out with proofs";
    export_hint: "录音、全部修订和防篡改证明，附核验说明，连同与本记录相关的回拨；每次导出都记入审计。", "Recordings, all revisions, proofs and how to check them, with our calls about it. Each time is noted in the audit.";
    export_redacted: "只导出脱敏件", "Redacted copies only";
    export_redacted_hint: "原始录音及其数据一概不附，在 manifest.json 里列明；文字不脱敏。", "No original and no tape: they are named in manifest.json. The text is not redacted.";
    export_originals: "本记录有脱敏件；“导出取证包”会连同未脱敏的原始录音一并交出。记录文字两种都不脱敏。", "There are redacted copies; the whole hands out the originals too, with nothing silenced. The text is redacted in neither.";
    export_unsigned: "签名密钥不可用，不能导出；请看状态栏的告警。", "There is no signing key, so nothing can be handed out: see the alarm.";
    export_failed: "导出失败：", "Nothing was handed out: ";
    export_too_large: "超过 5000 条记录或 4 GB，请用命令 dutyline export 导出到文件夹。", "More than 5,000 entries or 4 GB: use the command dutyline export, which writes a folder.";
    export_busy: "另一个导出正在进行，请稍后再试；您自己的导出列在“时段”页。", "Another export is under way: try again in a while. Your own are listed on the page of the period.";
    export_own: "只含本记录，不含相关记录", "This entry alone, not those that belong to it";
    export_own_title: "我的导出", "Handed out to me";
    export_of_entry: "一条记录", "An entry";
    export_begun: "正在收集记录并签名…", "Collecting and signing…";
    export_reading: "正在逐个核对录音：{} / {} MB", "Checking the recordings: {} of {} MB";
    export_going_hint: "可以离开此页，不影响接听；完成后从“时段”页的“我的导出”回来下载。", "You may leave this page; it is found again on the page of the period.";
    export_stop: "停止", "Stop";
    export_stopped: "已停止，没有导出任何内容。需要时请重新导出。", "Stopped: nothing was handed out. Ask for it again if it is wanted.";
    export_ready: "已备好", "Ready";
    export_take: "下载 {}（{} MB）", "Download {} ({} MB)";
    export_ready_hint: "保留一小时，只有您本人能下载；每次下载都记入审计。", "Kept for an hour, for you alone; each download is noted in the audit.";
    export_damaged: "以下录音文件缺失或损坏，第二份也没有可用的，没有附上；清单中已逐个写明。请通知管理员，勿删除任何文件。", "These files are gone or damaged, with no good second copy, and are not in it; its list names them. Tell the administrator, and delete nothing.";
    export_gone: "此导出已不在（超过一小时，或服务重启过），请重新导出。", "It is not kept any more: ask for it again.";
    export_taken: "正在有人下载，请稍后再试。", "Others are downloading: try again in a while.";

    period: "时段", "Period";
    period_from: "从", "From";
    period_to: "到", "To";
    period_show: "查看", "Show";
    period_wrong: "时间不对：「到」要晚于「从」，请改。下面是最近十二小时。", "The times do not fit: the end comes after the beginning. Below are the last twelve hours.";
    period_quiet: "此时段没有来电，线路和服务始终正常。", "Nobody called; line and service were up all the time.";
    period_calls: "此时段有 {} 个来电，线路和服务始终正常。", "{} calls came; line and service were up all the time.";
    period_doubt: "此时段有 {} 个来电；其中 {} 不能证明无来电：线路或服务中断、尚未再收到交换机应答、时钟被调整，或不在日志范围内。", "{} calls came; for {} nobody can say whether somebody called: line or service were down, the PBX has not answered since, the clock was set, or the log does not reach.";
    period_signed: "由第 {} 号签名（{}）证明。", "Proved by head {} of {}.";
    period_unsigned: "时段结束后还没有签名，请稍后再看。", "No head has been signed since its end: look again later.";
    period_calls_title: "来电与记录", "Calls and entries";
    register_time: "时间", "Time";
    register_number: "编号", "Number";
    register_caller: "来电单位、姓名、电话", "Caller";
    register_subject: "事由", "Subject";
    register_call: "通话", "Call";
    register_state: "办理", "State";
    register_signed: "值班员签名：", "Duty officer:";
    register_leader_signed: "带班领导签名：", "Duty leader:";
    period_more: "只列出前 {} 条，其余请缩短时段查看；以上来电数是全部。", "Only the first {} are listed: ask for a shorter period; the calls are counted all.";
    period_no_calls: "没有。", "None.";
    period_outages_title: "中断", "Outages";
    period_no_outages: "没有中断。", "None.";
    outage_line: "线路", "Line";
    log_restored: "值班记录从备份恢复，{} 的来电和填写可能不在其中，请对照录音和话机来电记录补记，并向接班人说明", "The log was put back from a backup: what happened {} may not be in it. Compare the recordings and the telephones' call lists, and write down what lacks";
    outage_media: "语音", "Voice";
    outage_log: "记录", "Log";
    outage_recorder: "录音", "Recorder";
    outage_storage: "存储", "Storage";
    outage_clock: "时钟", "Clock";
    outage_service: "服务", "Service";
    outage_lasts: "仍在中断", "Goes on";

    ladder: "信令梯形图", "SIP ladder";
    ladder_hint: "时间为北京时间；鉴权、密钥和所按数字已隐去。点击箭头查看原文。", "Beijing time. Credentials, keys and pressed digits are left out. An arrow opens its message.";
    ladder_choose: "点击一条信令查看原文；打印时全部列出。", "Choose an arrow to read its message; a print lists them all.";
    ladder_none: "本次通话没有留存信令。", "No messages were kept of this call.";
    ladder_back: "返回记录", "Back to the entry";
    ladder_caller: "来电方", "Caller";
    ladder_us: "本机", "dutyline";
    ladder_lost: "缺 {} 条，未能留存", "{} messages could not be kept";
    ladder_cut: "信令过多，其后刷新等例行信令不再保留", "Too many messages: from here on routine ones, as refreshes, are not kept";
    ladder_count: "{} 条", "{} messages";
    ladder_open: "原文与打印", "Messages, print";

    revisions: "修订", "Revisions";
    revisions_none: "尚无修订", "None yet";
    revision_system: "系统生成", "by the system";
    revision_filled: "填写", "filled in";
    revision_corrected: "更正", "corrected";
    revision_state: "状态", "state";
    urgency: "紧急程度", "Urgency";
    state: "状态", "State";
    was_empty: "（空）", "(empty)";
    forbidden: "请求来源不符，已拒绝。", "Refused: the request came from elsewhere.";
    not_found: "没有这个页面。", "There is no such page.";
    busy: "现在太忙，请稍后再试。", "Too busy at the moment; try again.";
    broken: "服务器内部错误，已记录。", "Internal error; it has been logged.";
    back_to_desk: "回到值班台", "Back to the desk";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_beats_the_browser_and_chinese_is_the_default() {
        assert_eq!(Language::choose(None, None), Language::Chinese);
        assert_eq!(Language::choose(None, Some("fr-FR,fr")), Language::Chinese);
        assert_eq!(Language::choose(None, Some("fr, en-GB;q=0.8, zh;q=0.5")), Language::English);
        assert_eq!(Language::choose(Some("zh"), Some("en")), Language::Chinese);
        assert_eq!(Language::choose(Some("xx"), Some("en")), Language::English);
        assert_eq!(Language::choose(None, Some("é")), Language::Chinese);
    }

    #[test]
    fn a_value_is_put_where_the_text_says() {
        assert_eq!(fill(ZH.days_left, 61), "61 天");
        assert_eq!(fill(EN.days_left, 61), "61 days");
        assert_eq!(fill_two(ZH.diverted, "{}", "总机"), "来自 {}，经 总机 转移");
    }
}
