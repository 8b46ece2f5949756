//! Carries out what the escalation decides: reads the rows, places the attempts, wakes when the next is due.
