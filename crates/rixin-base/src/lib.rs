//! Ids, languages, faults, settings, progress and cancellation that every other crate shares.
