//! Helpers of the tests that cross crates: a suite started from the built binary in a folder of its own.
