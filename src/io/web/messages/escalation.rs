//! Texts of an escalation, of the calls to leaders and of the quiet channels.

/// The texts that it is given, and these.
macro_rules! with_escalation {
    ($($others:tt)*) => { with_records! {
        $($others)*

        escalation: "紧急呈报", "Escalation";
        escalation_none: "未呈报", "Not raised";
        escalation_notifying: "正在呼叫领导", "Calling the leaders";
        escalation_acknowledged: "已接报", "Acknowledged";
        escalation_withdrawn: "已撤回", "Withdrawn";
        escalation_exhausted: "所有联系人均未应答，请人工处置", "Nobody answered: act by hand";
        escalation_exhausted_short: "无人应答", "Nobody answered";
        escalation_still_leader: "继续联系带班领导", "Still trying the duty leader";
        raised_at: "发起", "Raised";
        withdraw: "撤回呈报", "Withdraw";
        withdraw_reason: "撤回原因（必填）", "Reason for withdrawing (required)";
        withdraw_hint: "撤回后停止呼叫，原因和记录保留。", "Calling stops. The reason and all records stay.";
        pressed_by_mistake: "误按", "Pressed by mistake";

        escalation_again: "知悉后一直未阅件，已重新呈报", "Acknowledged before and not looked at: raised again";
        escalation_handed_on: "提醒时按 3 不便，已重新呈报，改叫其他领导", "Pressed 3 when reminded: raised again, others are called";
        leader_spoken_to: "人工已联系", "Told by hand";
        leader_spoken_hint: "带班领导本人已知悉，停止呼叫他。", "The duty leader himself knows: he is called no more.";
        leader_told_hint: "带班领导已知悉。告诉他是什么事后按此：记为已阅件，不再提醒。", "The duty leader knows that there is something. Press when he has been told what: it counts as read, and nobody is reminded.";
        by_mobile: "手机", "Mobile";
        by_office_phone: "办公电话", "Office phone";
        in_person: "当面", "In person";
        leader_knows: "带班领导已知悉，或呈报已撤回。", "The duty leader knows already, or it was withdrawn.";
        on_the_page: "页面", "On the page";
        acknowledge: "知悉", "I know of it";
        only_leaders: "只有领导账号可以在页面上确认。", "Only a leader's account acknowledges on the page.";
        evidence_sent: "送达", "Sent";
        evidence_rang: "振铃", "Rang";
        evidence_answered: "接听", "Answered";
        evidence_known: "知悉", "Acknowledged";
        evidence_read: "阅件", "Read";
        evidence_heard: "听录音", "Listened";
        evidence_instructed: "批示", "Instructed";
        evidence_confirmed: "回执", "Confirmed";
        read_on_page: "页面", "on the page";
        read_recording: "听录音", "by the recording";
        read_talk: "通话", "talking";
        read_instruction: "批示", "instructing";
        read_before: "升级前已知悉", "known before the update";
        going_tell: "正在呼叫 {} 第 {} 次", "Calling {}, call {}";
        going_remind: "正在提醒 {} 阅件 第 {} 次", "Reminding {}, call {}";
        going_confirm: "正在呼叫 {} 确认批示 第 {} 次", "Calling {} to confirm, call {}";
        going_dialling: "已拨出", "dialled";
        going_ringing: "已振铃", "ringing for";
        going_answered: "已接听", "answered for";
        errand_remind: "提醒阅件", "Reminder";
        errand_confirm: "确认批示", "To confirm";
        attempt_joined: "与另一事项同一通电话", "In the same call as another matter";
        attempt_mute: "听不到对方声音", "Nothing heard of him";
        instead_of: "替 {}", "for {}";
        instruction: "批示", "Instruction";
        instruction_waits: "待确认", "To be confirmed";
        instruction_confirmed: "已确认", "Confirmed";
        instruction_soon: "通话结束后即可播放。", "Can be played when the call is over.";
        confirm_instruction: "确认收到批示", "Confirm the instruction";
        nothing_to_confirm: "没有待确认的批示。", "There is no instruction to confirm.";
        leader: "带班领导", "Duty leader";
        substitute: "同级替班领导", "Substitute";
        office_director: "办公室主任", "Office director";
        head: "中心主要领导", "Head of the centre";
        calling: "正在呼叫", "Calling";
        attempt_ringing: "振铃", "Ringing";
        attempt_answered: "已接听，等待按键", "Answered, waiting for a key";
        result_acknowledged: "按键确认", "Confirmed by key";
        result_answered_no_key: "接听未确认", "Answered, no key";
        result_busy: "忙", "Busy";
        result_declined: "拒接", "Declined";
        result_no_answer: "无人接", "No answer";
        result_unreachable: "关机/空号", "Unreachable";
        result_channel_failed: "通道故障", "Line failed";
        result_cancelled: "取消", "Cancelled";
        result_interrupted: "中断", "Interrupted";
        result_handed_on: "不便，转替班", "Not now: handed on";
        result_wrong_pin: "口令错误", "Wrong PIN";

        channels: "通知渠道", "Channels";
        notice_alert: "紧急通知", "alert";
        notice_repeat: "再次通知", "again";
        notice_withdrawn: "撤回通知", "withdrawal";
        notice_waiting: "待发", "To be sent";
        notice_sending: "发送中", "Sending";
        notice_again: "待重试", "To be tried again";
        notice_accepted: "已受理", "Accepted";
        notice_delivered: "已送达", "Delivered";
        notice_failed: "未发出", "Failed";
        notice_dropped: "不再需要", "Not needed";
        notice_tries: "次数", "Tries";
        notice_no_answer: "结果不明", "Outcome unknown";
        notice_refused: "对方拒绝", "Refused";
        channel_webhook: "业务系统接口", "webhook";
        channel_wecom_bot: "企业微信群", "WeCom group";
        channel_wecom_app: "企业微信", "WeCom";
        channel_dingtalk_bot: "钉钉群", "DingTalk group";
        channel_feishu_bot: "飞书群", "Feishu group";
        channel_mail: "邮件", "mail";
        channel_sms: "短信", "SMS";
        channel_modem: "短信猫", "GSM modem";
        channel_sip_message: "话机文字", "text on a telephone";
    } };
}
