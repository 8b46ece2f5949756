//! The sentences spoken to a leader on the telephone; none carries content (I-13).

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

pub const COUNT: usize = 6;
