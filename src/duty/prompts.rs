//! What is said on the telephone, to a leader or to a caller; nothing of it carries content (I-13).

use crate::protocol::rtp::Prompt;

/// 值班室有紧急事项，请按 1 确认。重听请按星号。
pub const URGENT: Prompt = Prompt(0);
/// 已确认，谢谢。请尽快与值班室联系。
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

/// While the caller is still there: 值班室有紧急事项，请按 1 确认。加入通话请按 6。重听请按星号。
pub const URGENT_LIVE: Prompt = Prompt(10);
/// 现在无法加入通话。
pub const CANNOT_JOIN: Prompt = Prompt(11);

pub const COUNT: usize = 12;
