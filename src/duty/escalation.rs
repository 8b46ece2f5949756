//! Who is told next, and when: a stored row and one pure decision.

/// The ladders as data (escalation.md, "The ladders and the keys").
#[derive(Debug, Clone, Default)]
pub struct Policy {}
