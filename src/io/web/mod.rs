//! The officer's page: every route on one screen.
