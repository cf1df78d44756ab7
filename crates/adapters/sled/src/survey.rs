//! Going once through the database after the start, beside all else, so that its filter is complete.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::priority;
use crate::state::State;
use crate::view::{Base, caught};

/// How many blocks are read before readers and writers may go on.
const STEP: usize = 16;

/// How long it rests while the database is opened again, before it looks once more.
const REOPENING: Duration = Duration::from_millis(100);

/// Starts the thread. It ends by itself, also when the store is closed.
///
/// # Errors
/// Where there can be no thread.
pub(crate) fn start(state: Arc<State>) -> std::io::Result<()> {
    let survey = move || {
        priority::lower();
        if let Err(fault) = survey(&state) {
            // Nothing is wrong with what is answered: everything is looked up in the database.
            tracing::warn!(error = &fault as &dyn std::error::Error, "the database could not be gone through");
        }
    };
    std::thread::Builder::new().name("mobile-bind-survey".to_owned()).spawn(survey).map(|_| ())
}

/// Notes all keys that are there. What is put in meanwhile notes itself.
fn survey(state: &State) -> Result<(), Fault> {
    let mut last = Some(Vec::new());
    while let Some(after) = last.take() {
        if state.health().is_closed() {
            return Ok(());
        }
        let view = state.view();
        match &view.base {
            Base::Of(blocks) => last = caught(|| blocks.note_after(&after, STEP))?,
            Base::Gone(fault) if matches!(**fault, Fault::Reopening) => {
                drop(view);
                std::thread::park_timeout(REOPENING);
                last = Some(after);
            }
            Base::Gone(fault) => return Err(Fault::Down(Arc::clone(fault))),
        }
    }
    if let Base::Of(blocks) = &state.view().base {
        blocks.filter().complete();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sled::Tree;

    use super::*;
    use crate::blocks::Blocks;
    use crate::filter::Filter;
    use crate::view::View;

    #[test]
    fn afterwards_what_is_there_is_found_and_what_is_not_is_not_searched() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let keys: Vec<Vec<u8>> =
            (0..5000_u32).map(|number| [&[1 + (number % 3) as u8][..], &number.to_be_bytes()].concat()).collect();
        let value = sled::IVec::from(vec![7; 50]);
        let mut sorted = keys.clone();
        sorted.sort();
        let writer = Blocks::new(Tree::clone(&db), Arc::new(Filter::for_keys(0)));
        writer.apply(sorted.iter().map(|key| (&key[..], Some(&value))), |_| Ok(())).unwrap();

        let blocks = Blocks::new(Tree::clone(&db), Arc::new(Filter::for_keys(0)));
        let state = State::new(View::of(blocks.clone()), None);
        let absent = |number: u32| [&[9][..], &number.to_be_bytes()].concat();
        assert!(!blocks.filter().excludes(&absent(0)));
        survey(&state).unwrap();
        assert!(keys.iter().all(|key| blocks.value(key).unwrap().is_some()));
        let excluded = (0..1000).filter(|&number| blocks.filter().excludes(&absent(number))).count();
        assert!(excluded > 900, "{excluded}");
    }

    #[test]
    fn a_closed_store_is_not_gone_through() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let blocks = Blocks::new(Tree::clone(&db), Arc::new(Filter::for_keys(0)));
        let state = State::new(View::of(blocks.clone()), None);
        state.close();
        survey(&state).unwrap();
        assert!(!blocks.filter().excludes(b"\x01"));
    }
}
