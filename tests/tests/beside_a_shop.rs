//! Two nodes on a shop's database with the shop's PHP writing beside them, which looks first and writes afterwards: through
//! mobile-bind there are never two accounts of one number or one openid, and what the shop doubles by itself is found out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use mobile_bind_domain::{Account, Refusal};
use mobile_bind_shopxo::{Options, ShopxoStore};
use mobile_bind_tests::nodes::{Attempt, Nodes};
use mobile_bind_tests::races::{
    Answer, ROUNDS, accounts, entered, held_once, log_outs, numbers_for_one_openid, one_wins, openids_for_one_number,
    places_for_one_code, race,
};
use mobile_bind_tests::shop::{PhpWriter, Registration, Shop};

/// How many do the same thing at the same moment, PHP besides.
const RIVALS: usize = 3;

/// What time() says in the shop.
const NOW: u32 = 1_634_727_340;

/// Two nodes, and processes of PHP.
struct Street {
    shop: Shop,
    nodes: Arc<Nodes>,
    idle: Mutex<Vec<PhpWriter>>,
    /// The users whom PHP has made.
    made: Mutex<BTreeSet<u64>>,
}

impl Street {
    async fn open() -> Result<Arc<Self>> {
        let shop = Shop::open().await?;
        let options = || Options { connections: 8, ..Options::new(&shop.store()) };
        let (one, other) = (ShopxoStore::open(options()).await?, ShopxoStore::open(options()).await?);
        let nodes = Arc::new(Nodes::over(vec![Arc::new(one), Arc::new(other)])?);
        Ok(Arc::new(Self { shop, nodes, idle: Mutex::default(), made: Mutex::default() }))
    }

    async fn writer(&self) -> Result<PhpWriter> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(writer) => Ok(writer),
            None => PhpWriter::new(&self.shop, NOW).await,
        }
    }

    fn give_back(&self, writer: PhpWriter) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
    }

    fn note(&self, user: u32) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(user.into());
    }

    /// PHP registers a number, where its check finds that free.
    async fn registers(self: Arc<Self>, number: String) -> Result<()> {
        let mut php = self.writer().await?;
        if let Registration::Made(made) = php.register(&number, "h5").await? {
            self.note(made.user);
        }
        self.give_back(php);
        Ok(())
    }

    /// PHP makes a user of a mini-program, whose number it found free.
    async fn meets(self: Arc<Self>, number: String, openid: String) -> Result<()> {
        let mut php = self.writer().await?;
        if php.holder_of_mobile(&number).await?.is_none() {
            let made = php.insert_user(&number, "weixin", &[("weixin_openid", &openid)]).await?;
            self.note(made.user);
        }
        self.give_back(php);
        Ok(())
    }

    /// PHP logs a number's user in, where there is one: his token on H5 is another one then.
    async fn logs_in(self: Arc<Self>, number: String) -> Result<()> {
        let mut php = self.writer().await?;
        php.log_in(&number, "h5").await?;
        self.give_back(php);
        Ok(())
    }

    /// Holds what each live account has against all others': no two accounts of mobile-bind's have the same, and what others
    /// have besides is what `store verify` finds. Answers how much of that there is.
    async fn judged(&self) -> Result<usize> {
        let mut holders: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for account in accounts(&self.nodes).await? {
            for held in held_by(&account) {
                holders.entry(held).or_default().insert(account.id.get());
            }
        }
        holders.retain(|_, accounts| accounts.len() > 1);
        {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            for (held, accounts) in &holders {
                ensure!(
                    accounts.difference(&made).count() <= 1,
                    "{held} is held by {accounts:?}, of the shop's {made:?}"
                );
            }
        }
        let found = mobile_bind_shopxo::verify(&Options::new(&self.shop.store()), |_| {}).await?;
        let told: BTreeSet<BTreeSet<u64>> = found
            .contested
            .iter()
            .map(|contested| contested.accounts.iter().map(|account| account.get()).collect())
            .collect();
        ensure!(told == holders.into_values().collect(), "verify tells {:?}", found.contested);
        ensure!(found.problems.is_empty(), "{:?}", found.problems);
        Ok(found.contested.len())
    }
}

fn held_by(account: &Account) -> Vec<String> {
    let number = account.held_mobile().map(|mobile| mobile.as_str().to_owned());
    account.held_identities().map(|identity| identity.openid.as_str().to_owned()).chain(number).collect()
}

/// Each bind was carried out or told that several have it.
fn are_sure(answers: &[Answer]) -> Result<()> {
    let sure = |answer: &Answer| matches!(answer, Ok(_) | Err(Refusal::HeldBySeveral));
    ensure!(answers.iter().all(sure), "{answers:?}");
    ensure!(entered(answers).len() <= 1, "{answers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_openids_bind_one_number_that_the_shop_registers() -> Result<()> {
    let street = Street::open().await?;
    let (nodes, shop) = (Arc::clone(&street.nodes), Arc::clone(&street));
    let attempts = |nodes, round| openids_for_one_number(nodes, round, RIVALS);
    let registers = move |round, _: &[Attempt]| Arc::clone(&shop).registers(format!("13{round:09}"));
    race(&nodes, attempts, registers, are_sure).await?;
    street.judged().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_openid_binds_many_numbers_and_the_shop_meets_it_too() -> Result<()> {
    let street = Street::open().await?;
    let (nodes, shop) = (Arc::clone(&street.nodes), Arc::clone(&street));
    let attempts = |nodes, round| numbers_for_one_openid(nodes, round, RIVALS);
    let meets = move |round, _: &[Attempt]| Arc::clone(&shop).meets(format!("19{round:09}"), format!("o{round}"));
    race(&nodes, attempts, meets, are_sure).await?;
    street.judged().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_is_used_from_two_places_while_the_shop_logs_in() -> Result<()> {
    let street = Street::open().await?;
    let (nodes, shop) = (Arc::clone(&street.nodes), Arc::clone(&street));
    let attempts = |nodes, round| places_for_one_code(nodes, round, RIVALS);
    let logs_in = move |round, _: &[Attempt]| Arc::clone(&shop).logs_in(format!("13{round:09}"));
    race(&nodes, attempts, logs_in, one_wins).await?;
    ensure!(held_once(&nodes).await? == ROUNDS);
    ensure!(street.judged().await? == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_meets_a_bind_and_a_log_in_at_the_shop() -> Result<()> {
    let street = Street::open().await?;
    let (nodes, shop) = (Arc::clone(&street.nodes), Arc::clone(&street));
    // The session named the caller, and was replaced by the bind; or it was ended before, by the log-out or the shop.
    let logs_in = move |first| Arc::clone(&shop).logs_in(first);
    log_outs(&nodes, logs_in, |met| !(met.by_session && met.logged_out)).await?;
    held_once(&nodes).await?;
    ensure!(street.judged().await? == 0);
    Ok(())
}

/// What the shop doubled is told to whoever has the code, and to nobody else, until the shop has put it right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_shop_doubled_leads_nowhere_until_it_is_put_right() -> Result<()> {
    let street = Street::open().await?;
    let number = "13900000001";
    let (mut one, mut other) = (street.writer().await?, street.writer().await?);
    ensure!((one.holder_of_mobile(number).await?, other.holder_of_mobile(number).await?) == (None, None));
    let (first, second) = (one.insert_user(number, "h5", &[]).await?, other.insert_user(number, "h5", &[]).await?);
    street.note(first.user);
    street.note(second.user);
    let attempt = async |code: Option<&str>, token: &str| -> Result<Answer> {
        let right = street.nodes.code(0, number, "u").await?;
        let code = code.map_or(right, str::to_owned);
        let (number, uuid, token) = (number.to_owned(), "u".to_owned(), token.to_owned());
        let attempt = Attempt { number, code, uuid, openid: String::new(), token };
        Ok(attempt.bind(street.nodes.node(0)?).await)
    };
    for token in ["", &first.token, &second.token] {
        ensure!(matches!(attempt(None, token).await?, Err(Refusal::HeldBySeveral)));
        ensure!(matches!(attempt(Some("no code"), token).await?, Err(Refusal::CodeWrong)));
    }
    ensure!(street.judged().await? == 1);
    ensure!(street.nodes.node(0)?.store.account_of(&mobile(number)?).await.is_err_and(|error| {
        let told = format!("{:?}", error.0.to_string());
        told.contains(&first.user.to_string()) && told.contains(&second.user.to_string()) && !told.contains(number)
    }));
    one.delete(first.user).await?;
    let entered = attempt(None, "").await?.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    ensure!(entered.account.id.get() == u64::from(second.user));
    ensure!(street.judged().await? == 0);
    Ok(())
}

fn mobile(number: &str) -> Result<mobile_bind_domain::Mobile> {
    mobile_bind_domain::Mobile::restore(number).ok_or_else(|| anyhow::anyhow!("a number"))
}
