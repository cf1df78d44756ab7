//! People who bind, through one node or the other, and what was answered to them. Between them and the nodes stands what a
//! load balancer does: it asks each node whether it is ready, and sends nobody to one that is not while the other is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::clock::Clock;
use crate::crash::Random;
use crate::crash::client::{Answer, BindRequest, Client};
use crate::crash::load::Bound;

/// How many people are at it at once, how often each binds, and how soon one who was refused asks again.
pub(super) const PEOPLE: usize = 16;
const EVERY: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_millis(50);
/// How often a node is asked whether it is ready, and how long it has for the answer.
const PROBED: Duration = Duration::from_millis(500);
const PROBE: Duration = Duration::from_secs(1);
/// What the service answers where the store could not be used.
const NOT_STORED: i64 = -100;

/// A bind that was answered with code 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) node: usize,
    /// When it was asked for the last time, and when it was answered.
    pub(super) began: Duration,
    pub(super) at: Duration,
}

/// What became of everything.
#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) bound: Vec<Bound>,
    /// Asked for, and never answered with 0: may be there, once.
    pub(super) open: Vec<BindRequest>,
    /// What should not be answered at all.
    pub(super) odd: Vec<String>,
    /// How often the answer was that it could not be stored, or none came.
    pub(super) refused: usize,
}

/// What the people share.
struct Shared {
    clock: Clock,
    nodes: Vec<Client>,
    ready: Vec<AtomicBool>,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

/// The load. It ends where [`Load::end`] says so.
pub(super) struct Load {
    shared: Arc<Shared>,
    people: JoinSet<Journal>,
    _balancer: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Load {
    pub(super) fn start(bases: &[&str], clock: Clock, random: &mut Random) -> Result<Self> {
        let nodes = bases.iter().map(|base| Client::new(base)).collect::<Result<_>>()?;
        let ready = bases.iter().map(|_| AtomicBool::new(true)).collect();
        let shared = Arc::new(Shared { clock, nodes, ready, acknowledged: Mutex::default() });
        let mut balancer = JoinSet::new();
        for index in 0..bases.len() {
            balancer.spawn(Arc::clone(&shared).watch(index));
        }
        let (stop, stopped) = watch::channel(false);
        let mut people = JoinSet::new();
        for index in 0..PEOPLE {
            let first_number = 13_000_000_000 + 10_000_000 * u64::try_from(index)?;
            let person = Person {
                shared: Arc::clone(&shared),
                number: first_number,
                turn: index,
                random: Random::new(random.draw()),
                journal: Journal::default(),
            };
            people.spawn(person.run(stopped.clone()));
        }
        Ok(Self { shared, people, _balancer: balancer, stop })
    }

    pub(super) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first bind that was asked for after that moment and answered with 0, by one node or by any.
    pub(super) fn first_since(&self, moment: Duration, node: Option<usize>) -> Option<Acknowledged> {
        let of_node = |found: &Acknowledged| node.is_none_or(|node| node == found.node);
        self.acknowledged().into_iter().filter(|found| found.began > moment && of_node(found)).min_by_key(|it| it.at)
    }

    /// Lets everybody finish.
    pub(super) async fn end(mut self) -> Result<Journal> {
        self.stop.send_replace(true);
        let mut whole = Journal::default();
        while let Some(journal) = self.people.join_next().await {
            let Journal { bound, open, odd, refused } = journal?;
            whole.bound.extend(bound);
            whole.open.extend(open);
            whole.odd.extend(odd);
            whole.refused += refused;
        }
        Ok(whole)
    }
}

impl Shared {
    async fn watch(self: Arc<Self>, index: usize) {
        loop {
            let asked = timeout(PROBE, self.nodes[index].is_ready()).await;
            self.ready[index].store(matches!(asked, Ok(Ok(true))), Ordering::Relaxed);
            sleep(PROBED).await;
        }
    }
}

struct Person {
    shared: Arc<Shared>,
    number: u64,
    /// Whose turn it is: whoever gets no good answer goes to the other node.
    turn: usize,
    random: Random,
    journal: Journal,
}

impl Person {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> Journal {
        while !*stopped.borrow() {
            self.turn += 1;
            if self.bind(&stopped).await.is_err() {
                self.journal.refused += 1;
                sleep(AGAIN).await;
            } else {
                sleep(EVERY).await;
            }
        }
        self.journal
    }

    fn node(&self) -> (usize, &Client) {
        let count = self.shared.nodes.len();
        let mut turns = (self.turn..self.turn + count).map(|turn| turn % count);
        let ready = |index: &usize| self.shared.ready[*index].load(Ordering::Relaxed);
        let index = turns.find(ready).unwrap_or(self.turn % count);
        (index, &self.shared.nodes[index])
    }

    /// Has a code sent by one node and binds with it by the other, as often as it takes.
    async fn bind(&mut self, stopped: &watch::Receiver<bool>) -> Result<()> {
        self.number += 1;
        let number = self.number;
        let mut request = BindRequest {
            uuid: format!("installation-{number}"),
            mobile: number.to_string(),
            verify: String::new(),
            nickname: format!("nickname-{number}"),
            openid: self.random.draw().is_multiple_of(2).then(|| format!("openid-{number}")),
            token: None,
        };
        let (_, node) = self.node();
        let sent = node.send_code(&request.uuid, &request.mobile).await?;
        anyhow::ensure!(sent.code() == 0, "not sent");
        request.verify = node.code(&request.mobile).await?;
        let mut unanswered = false;
        loop {
            self.turn += 1;
            let (node, client) = self.node();
            let began = self.shared.clock.now();
            let answer = client.bind(&request).await;
            let at = self.shared.clock.now();
            match answer.as_ref().map(Answer::code) {
                Ok(0) => {
                    self.journal.bound.extend(answer.iter().map(|answer| Bound::new(request.clone(), answer)));
                    let mut acknowledged = self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                    acknowledged.push(Acknowledged { node, began, at });
                    return Ok(());
                }
                Ok(NOT_STORED) | Err(_) => {
                    unanswered = true;
                    self.journal.refused += 1;
                    if *stopped.borrow() {
                        self.journal.open.push(request);
                        return Ok(());
                    }
                    sleep(AGAIN).await;
                }
                // What was stored and not answered is told for so long as its receipt is kept; then its code is used up.
                Ok(_) if unanswered => {
                    self.journal.open.push(request);
                    return Ok(());
                }
                Ok(code) => {
                    self.journal.odd.push(format!("a bind with the right code was answered {code}"));
                    return Ok(());
                }
            }
        }
    }
}
