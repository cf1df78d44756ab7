//! The numbering plans of other countries.

/// A number that may be a mobile's, in the parts of E.164, digits alone.
#[derive(Clone, PartialEq, Eq)]
pub struct InternationalNumber {
    /// The calling code of its country.
    pub country: String,
    /// The rest, without any prefix that is dialled within the country.
    pub national: String,
}

/// Knows the numbers of other countries.
pub trait NumberPlans: Send + Sync {
    /// Reads a number: the digits after `+`, the calling code first. `None` where it is none that a mobile may have.
    fn read(&self, digits: &str) -> Option<InternationalNumber>;
}
