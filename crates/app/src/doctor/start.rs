//! Would the service start?

use async_trait::async_trait;

use super::{Check, Finding};
use crate::settings::{Settings, refuse_unsafe};

pub(super) struct Start;

#[async_trait]
impl Check for Start {
    fn name(&self) -> &'static str {
        "settings"
    }

    async fn look(&self, settings: &Settings) -> Vec<Finding> {
        let usable = refuse_unsafe(settings).and_then(|()| settings.policy().map(drop));
        vec![match usable {
            Ok(()) => Finding::Well("they can be used".to_owned()),
            Err(error) => Finding::Wrong(format!("{error:#}")),
        }]
    }
}
