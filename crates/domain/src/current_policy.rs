//! The one place that holds the rules' settings in force.

use std::sync::{Arc, PoisonError, RwLock};

use crate::Policy;

/// The settings in force. They may change while requests are under way: each use takes them as they are then.
#[derive(Debug)]
pub struct CurrentPolicy(RwLock<Arc<Policy>>);

impl CurrentPolicy {
    /// The settings as they are now.
    #[must_use]
    pub fn get(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes them, for whoever takes them from now on.
    pub fn change(&self, change: impl FnOnce(&mut Policy)) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
    }
}

impl From<Policy> for CurrentPolicy {
    fn from(policy: Policy) -> Self {
        Self(RwLock::new(Arc::new(policy)))
    }
}
