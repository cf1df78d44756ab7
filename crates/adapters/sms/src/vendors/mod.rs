//! The vendors' languages: requests, signatures, and what their answers mean.

pub(crate) mod aliyun;
pub(crate) mod tencent;
pub(crate) mod twilio;
pub(crate) mod webhook;
