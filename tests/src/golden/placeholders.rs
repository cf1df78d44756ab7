//! What a recording leaves open until it is played: codes, tokens, and the ids of new accounts.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use regex::{Captures, Regex};

use super::format::Case;

/// What the placeholders of a scenario stand for.
#[derive(Debug, Default)]
pub(super) struct Placeholders {
    tokens: BTreeMap<String, String>,
    codes: BTreeMap<String, Vec<String>>,
    /// Recorded id → ours, for accounts that the scenario makes.
    ids: BTreeMap<String, String>,
}

impl Placeholders {
    /// Defines `{{token:…}}`.
    pub(super) fn define_token(&mut self, placeholder: &str, token: &str) {
        self.tokens.insert(placeholder.trim_matches(['{', '}']).to_owned(), token.to_owned());
    }

    pub(super) fn add_code(&mut self, mobile: &str, code: String) {
        self.codes.entry(mobile.to_owned()).or_default().push(code);
    }

    pub(super) fn know_id(&mut self, id: &str) {
        self.ids.insert(id.to_owned(), id.to_owned());
    }

    /// Our id for a recorded one. One that is met for the first time is a new account's: it stands for `ours`, unless
    /// that is taken already.
    pub(super) fn resolve_id(&mut self, recorded: &str, ours: &str) -> String {
        if let Some(known) = self.ids.get(recorded) {
            return known.clone();
        }
        if ours.is_empty() || self.ids.values().any(|known| known == ours) {
            return format!("the id of new account {recorded}");
        }
        self.ids.insert(recorded.to_owned(), ours.to_owned());
        ours.to_owned()
    }

    /// Whether one of our ids is known already.
    pub(super) fn stands_for(&self, ours: &str) -> bool {
        self.ids.values().any(|known| known == ours)
    }

    /// Fills in a request.
    pub(super) fn fill(&self, text: &str) -> Result<String> {
        let pattern = Regex::new(r"\{\{(code:([^:}]+):(\d+)|token:[^}]+)\}\}")?;
        let mut missing = None;
        let filled = pattern.replace_all(text, |found: &Captures<'_>| {
            let name = found.get(1).map_or("", |name| name.as_str());
            let value = match (found.get(2), found.get(3)) {
                (Some(mobile), Some(index)) => self.code(mobile.as_str(), index.as_str()),
                _ => self.tokens.get(name).cloned(),
            };
            value.unwrap_or_else(|| {
                missing = Some(name.to_owned());
                String::new()
            })
        });
        match missing {
            Some(name) => Err(anyhow::anyhow!("nothing stands for {name}")),
            None => Ok(filled.into_owned()),
        }
    }

    fn code(&self, mobile: &str, index: &str) -> Option<String> {
        let index: usize = index.parse().ok()?;
        self.codes.get(mobile)?.get(index.checked_sub(1)?).cloned()
    }
}

/// The literal codes of a scenario's requests: none may be drawn.
pub(super) fn literal_codes(case: &Case) -> Result<HashSet<String>> {
    let digits = Regex::new(r"\d+").context("a constant pattern")?;
    let texts = case.steps.iter().flat_map(|step| [&step.request.path, &step.request.body]);
    let runs = texts.flat_map(|text| digits.find_iter(text).map(|run| run.as_str().to_owned()).collect::<Vec<_>>());
    Ok(runs.filter(|run| run.len() == 4).collect())
}
