//! What is said on the telephone, to a leader or to a caller; nothing of it carries content (I-13).

use crate::protocol::rtp::Prompt;

/// 值班室有紧急事项，确认请按 1，不便请按 3，重听请按星号键。
pub const URGENT: Prompt = Prompt(0);
/// 已确认。听录音按 2，通话按 5，口述批示按 9。 and then a pause.
pub const CONFIRMED: Prompt = Prompt(1);
/// 按键无效。
pub const WRONG_KEY: Prompt = Prompt(2);
/// 请稍候。
pub const PLEASE_WAIT: Prompt = Prompt(3);
/// 已由其他领导确认。请尽快与值班室联系。
pub const ALREADY_CONFIRMED: Prompt = Prompt(4);
/// 该事项已撤回。
pub const WITHDRAWN: Prompt = Prompt(5);

/// To a caller who waits: 您好，这里是值班室。值班员正在接听其他来电，请不要挂机，我们将尽快接听。 and then a pause.
pub const QUEUE: Prompt = Prompt(6);
/// To a caller whom nobody took: 您好，这里是值班室。值班员暂时无法接听，请在提示音后留言，留言结束请按井号键或挂机。
/// Or what the site says instead.
pub const GREETING: Prompt = Prompt(7);
/// After which the caller speaks.
pub const BEEP: Prompt = Prompt(8);
/// What a caller hears while a phone rings.
pub const RINGBACK: Prompt = Prompt(9);

/// While the caller is still there: 值班室有紧急事项，确认请按 1，加入通话请按 6，不便请按 3。
pub const URGENT_LIVE: Prompt = Prompt(10);
/// 现在无法加入通话。
pub const CANNOT_JOIN: Prompt = Prompt(11);

/// To whoever knows: 听录音按 2，通话按 5，口述批示按 9，结束请挂机。 and then a pause.
pub const MORE: Prompt = Prompt(12);
/// 请输入口令，按井号键结束。
pub const ENTER_PIN: Prompt = Prompt(13);
/// 口令错误，请重新输入。
pub const WRONG_PIN: Prompt = Prompt(14);
/// 口令错误，值班室将联系其他领导。
pub const PIN_REFUSED: Prompt = Prompt(15);
/// 已转替班领导，谢谢。
pub const HANDED_ON: Prompt = Prompt(16);
/// 已记录，值班室将联系其他领导。
pub const PASSED_ON: Prompt = Prompt(17);
/// 请在提示音后口述批示，按井号键结束。
pub const DICTATE: Prompt = Prompt(18);
/// 已记录，谢谢。
pub const TAKEN: Prompt = Prompt(19);
/// 录音暂时无法播放，通话请按 5。
pub const NO_RECORDING: Prompt = Prompt(20);
/// To whoever has acknowledged and not looked at it: 您确认的紧急事项尚未阅办。听录音按 2，通话按 5，口述批示按 9，
/// 不便请按 3。
pub const UNREAD: Prompt = Prompt(21);
/// To the desk: 领导已作批示，请在页面上查看，确认请按 1。
pub const INSTRUCTION: Prompt = Prompt(22);
/// To whoever was called before: 刚才的电话中断了。值班室有紧急事项，确认请按 1，不便请按 3。
pub const URGENT_CUT: Prompt = Prompt(23);

/// To ourselves: 值班方已接听，录音自检。
pub const SELF_TEST: Prompt = Prompt(24);

/// 没有收到口令，返回请按星号键。
pub const PIN_LATE: Prompt = Prompt(25);
/// Before the first of several matters: 值班室有多件紧急事项，逐件播报，确认后按井号键转下一件。
pub const SEVERAL: Prompt = Prompt(26);
/// While he hears of one: 又有一件紧急事项，随后播报。
pub const ALSO: Prompt = Prompt(27);
/// Before the sentence of another one: 下面是另一件紧急事项。
pub const NEXT: Prompt = Prompt(28);

/// To the desk, by the witness: 注意，值班系统没有响应，请检查值班电话和电脑，确认请按 1。
pub const SILENT: Prompt = Prompt(29);
/// 这是演练。 before every sentence of a drill.
pub const DRILL: Prompt = Prompt(30);
/// 这是演练，这是演练。值班室紧急呈报演练，确认请按 1，不便请按 3，重听请按星号键。
pub const DRILL_URGENT: Prompt = Prompt(31);
/// 值班室点名，不是紧急事项，确认请按 1。
pub const ROLL_CALL: Prompt = Prompt(32);
/// 值班室核实号码，不是紧急事项，确认请按 1。
pub const CHECK_NUMBER: Prompt = Prompt(33);

pub const COUNT: usize = 34;

/// The name under which a caller's recording is played; none of the set.
pub const RECORDING: Prompt = Prompt(34);

/// What is said, the name of its file, and the words of the built-in voice. A site may say each in a voice of its own.
pub const SENTENCES: [(Prompt, &str, &str); 31] = [
    (URGENT, "urgent", "值班室有紧急事项，确认请按1，不便请按3，重听请按星号键。"),
    (CONFIRMED, "confirmed", "已确认。听录音按2，通话按5，口述批示按9。"),
    (WRONG_KEY, "wrong_key", "按键无效。"),
    (PLEASE_WAIT, "please_wait", "请稍候。"),
    (ALREADY_CONFIRMED, "already_confirmed", "已由其他领导确认。请尽快与值班室联系。"),
    (WITHDRAWN, "withdrawn", "该事项已撤回。"),
    (QUEUE, "queue", "您好，这里是值班室。值班员正在接听其他来电，请不要挂机，我们将尽快接听。"),
    (
        GREETING,
        "greeting",
        "您好，这里是值班室。值班员暂时无法接听，请在提示音后留言，留言结束请按井号键或挂机。",
    ),
    (URGENT_LIVE, "urgent_live", "值班室有紧急事项，确认请按1，加入通话请按6，不便请按3。"),
    (CANNOT_JOIN, "cannot_join", "现在无法加入通话。"),
    (MORE, "more", "听录音按2，通话按5，口述批示按9，结束请挂机。"),
    (ENTER_PIN, "enter_pin", "请输入口令，按井号键结束。"),
    (WRONG_PIN, "wrong_pin", "口令错误，请重新输入。"),
    (PIN_REFUSED, "pin_refused", "口令错误，值班室将联系其他领导。"),
    (HANDED_ON, "handed_on", "已转替班领导，谢谢。"),
    (PASSED_ON, "passed_on", "已记录，值班室将联系其他领导。"),
    (DICTATE, "dictate", "请在提示音后口述批示，按井号键结束。"),
    (TAKEN, "taken", "已记录，谢谢。"),
    (NO_RECORDING, "no_recording", "录音暂时无法播放，通话请按5。"),
    (UNREAD, "unread", "您确认的紧急事项尚未阅办。听录音按2，通话按5，口述批示按9，不便请按3。"),
    (INSTRUCTION, "instruction", "领导已作批示，请在页面上查看，确认请按1。"),
    (URGENT_CUT, "urgent_cut", "刚才的电话中断了。值班室有紧急事项，确认请按1，不便请按3。"),
    (PIN_LATE, "pin_late", "没有收到口令，返回请按星号键。"),
    (SEVERAL, "several", "值班室有多件紧急事项，逐件播报，确认后按井号键转下一件。"),
    (ALSO, "also", "又有一件紧急事项，随后播报。"),
    (NEXT, "next", "下面是另一件紧急事项。"),
    (SILENT, "silent", "注意，值班系统没有响应，请检查值班电话和电脑，确认请按1。"),
    (DRILL, "drill", "这是演练。"),
    (
        DRILL_URGENT,
        "drill_urgent",
        "这是演练，这是演练。值班室紧急呈报演练，确认请按1，不便请按3，重听请按星号键。",
    ),
    (ROLL_CALL, "roll_call", "值班室点名，不是紧急事项，确认请按1。"),
    (CHECK_NUMBER, "check_number", "值班室核实号码，不是紧急事项，确认请按1。"),
];
