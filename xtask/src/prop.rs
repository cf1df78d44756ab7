//! The property tests at length.

use std::num::NonZeroU32;

use anyhow::Result;

use crate::databases::Databases;
use crate::step::Step;

/// Runs all tests with `cases` cases for each property. Every property test takes its number of cases from
/// `PROPTEST_CASES`, proptest's own variable; the other tests are quick beside them.
pub(crate) fn run(cases: NonZeroU32) -> Result<()> {
    let databases = Databases::start()?;
    let step = Step::cargo(["test", "--workspace", "--locked"]).variable("PROPTEST_CASES", &cases.to_string());
    databases.told(step).run()
}
