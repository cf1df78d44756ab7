//! Questions that are asked together: those of one form that wait when a connection is free become one statement, so that many
//! cost the database hardly more than one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deadpool_postgres::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::Inner;
use crate::fault::Fault;
use crate::query::{Question, columns, references};

/// How many questions are asked together at most.
const QUESTIONS: usize = 64;

struct Waiting {
    question: Question,
    answer: oneshot::Sender<Result<Row, Fault>>,
}

/// The questions that wait, and how many statements are under way.
pub(crate) struct Reading {
    waiting: Mutex<VecDeque<Waiting>>,
    slots: Arc<Semaphore>,
}

impl Reading {
    /// For so many statements at once.
    pub(crate) fn new(size: u32) -> Self {
        Self { waiting: Mutex::default(), slots: Arc::new(Semaphore::new(size as usize)) }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        // A queue is left whole by whoever panics beside it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that has waited longest, and those of its form.
    fn take(&self) -> Vec<Waiting> {
        let mut queue = self.waiting();
        let mut taken: Vec<Waiting> = Vec::new();
        let mut left = VecDeque::new();
        while let Some(next) = queue.pop_front() {
            if next.answer.is_closed() {
                continue;
            }
            if taken.first().is_some_and(|first| first.question.text != next.question.text) {
                left.push_back(next);
                continue;
            }
            taken.push(next);
            if taken.len() == QUESTIONS {
                break;
            }
        }
        left.append(&mut queue);
        *queue = left;
        taken
    }
}

/// Asks, together with those that wait beside it. Takes no longer than the options' timeout.
pub(crate) async fn ask(inner: &Arc<Inner>, question: Question) -> Result<Row, Fault> {
    let (answer, mut answered) = oneshot::channel();
    inner.reading.waiting().push_back(Waiting { question, answer });
    let asked = async {
        tokio::select! {
            biased;
            answer = &mut answered => return answer.unwrap_or(Err(Fault::Closed)),
            slot = Arc::clone(&inner.reading.slots).acquire_owned() => {
                let slot = slot.map_err(|_| Fault::Closed)?;
                // By itself: whoever asked one of the questions may go away meanwhile.
                tokio::spawn(work(Arc::clone(inner), slot));
            }
        }
        answered.await.unwrap_or(Err(Fault::Closed))
    };
    timeout(inner.options.timeout, asked).await.unwrap_or(Err(Fault::Timeout))
}

async fn work(inner: Arc<Inner>, _slot: OwnedSemaphorePermit) {
    loop {
        // Who is about to ask comes along: the fewer statements, the less each question costs.
        yield_now().await;
        let taken = inner.reading.take();
        if taken.is_empty() {
            return;
        }
        run(&inner, taken).await;
    }
}

async fn run(inner: &Arc<Inner>, taken: Vec<Waiting>) {
    let (mut rows, mut answers, mut text) = (Vec::with_capacity(taken.len()), Vec::with_capacity(taken.len()), None);
    for Waiting { question, answer } in taken {
        rows.push(question.values);
        answers.push(Some(answer));
        text.get_or_insert(question.text);
    }
    let (text, parameters) = (text.unwrap_or_default(), columns(rows));
    let found = find(inner, &text, &references(&parameters)).await;
    match found {
        Ok(rows) => {
            for row in rows {
                let number = row.try_get::<_, i64>(0).ok().and_then(|number| usize::try_from(number - 1).ok());
                if let Some(answer) = number.and_then(|number| answers.get_mut(number)).and_then(Option::take) {
                    // Whoever asked may have gone away.
                    drop(answer.send(Ok(row)));
                }
            }
        }
        Err(fault) => answers.into_iter().flatten().for_each(|answer| drop(answer.send(Err(fault.again())))),
    }
}

/// Answers one row for each question.
async fn find(inner: &Inner, text: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
    read!(inner, client => query(client, text, parameters))
}

async fn query(client: &Client, text: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
    let prepared = client.prepare_cached(text).await?;
    Ok(client.query(&prepared, parameters).await?)
}
