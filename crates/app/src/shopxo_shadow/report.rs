//! What a shadow says: each difference when it is found, and the sums in the end. Numbers are masked.

use std::collections::BTreeMap;

use mobile_bind_domain::{AccountId, Mobile, Timestamp};

use super::comparison::{AtTheShop, OnTheCopy, Unclear, Verdict};

/// The sums so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) alike: u64,
    not_comparable: BTreeMap<Unclear, u64>,
    /// Requests for codes.
    pub(crate) codes: u64,
    /// Requests that are neither.
    pub(crate) others: u64,
    pub(crate) unreadable: u64,
    /// Accounts that could not be brought into the copy as they are at the shop by now.
    pub(crate) not_followed: u64,
    /// Mirrored requests that there was no room for.
    pub(crate) dropped: u64,
    /// How often each kind of difference was found.
    differences: BTreeMap<String, u64>,
}

/// One bind that was compared.
pub(crate) struct Compared<'a> {
    pub(crate) at: Timestamp,
    /// The line of the log, where it is from one.
    pub(crate) line: Option<usize>,
    pub(crate) mobile: &'a Mobile,
    pub(crate) shop: &'a AtTheShop,
    pub(crate) copy: &'a OnTheCopy,
}

impl Report {
    /// Counts a bind; answers the line to print where it is a difference.
    pub(crate) fn count(&mut self, verdict: Verdict, compared: &Compared<'_>) -> Option<String> {
        match verdict {
            Verdict::Alike => self.alike += 1,
            Verdict::NotComparable(why) => self.pass_over(why),
            Verdict::Different => {
                let kind = format!("{}; {}", kind_at_the_shop(compared.shop), kind_on_the_copy(compared.copy));
                *self.differences.entry(kind).or_default() += 1;
                return Some(difference(compared));
            }
        }
        None
    }

    /// Counts a bind that cannot be compared.
    pub(crate) fn pass_over(&mut self, why: Unclear) {
        *self.not_comparable.entry(why).or_default() += 1;
    }

    /// The sums.
    pub(crate) fn told(&self) -> String {
        let mut text = format!("{} binds of the shop's would be bound here the same way\n", self.alike);
        for (kind, times) in &self.differences {
            text += &format!("{times} different: {kind}\n");
        }
        let sums = [
            (self.codes, "requests for a code, which are played and not compared"),
            (self.others, "requests that are no binds"),
            (self.unreadable, "that could not be read"),
            (self.not_followed, "accounts of the shop's that the copy could not follow"),
            (self.dropped, "mirrored requests dropped: too many waited"),
        ];
        let unclear =
            self.not_comparable.iter().map(|(why, times)| (*times, format!("binds not comparable: {}", why.told())));
        let sums = sums.into_iter().map(|(times, what)| (times, what.to_owned()));
        for (times, what) in unclear.chain(sums).filter(|(times, _)| *times > 0) {
            text += &format!("{times} {what}\n");
        }
        text
    }
}

/// `2026-11-26 07:41:02 UTC  user/appmobilebind  139***001  line 3  the shop …; mobile-bind …`
fn difference(compared: &Compared<'_>) -> String {
    let line = compared.line.map(|line| format!("line {line}  ")).unwrap_or_default();
    let (shop, copy) = (did(compared.shop), would(compared.copy));
    format!("{}  user/appmobilebind  {}  {line}{shop}; {copy}\n", time(compared.at), compared.mobile)
}

fn time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_seconds()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// In words, without whose number it is.
fn kind_at_the_shop(shop: &AtTheShop) -> &'static str {
    match shop {
        AtTheShop::CarriedOut => "the shop bound",
        AtTheShop::Made(_) => "the shop made an account",
        AtTheShop::Entered(_) => "the shop entered the number's account",
        AtTheShop::Changed(_, Some(_)) => "the shop changed an account's number",
        AtTheShop::Changed(_, None) => "the shop gave an account the number",
        AtTheShop::Doubled(_) => "the shop gave the number to one more account",
        AtTheShop::Unclear(why) => why.told(),
    }
}

fn kind_on_the_copy(copy: &OnTheCopy) -> String {
    match copy {
        OnTheCopy::Refused { code, text } => format!("mobile-bind would refuse: {code} {text}"),
        OnTheCopy::Made(_) => "mobile-bind would make an account".to_owned(),
        OnTheCopy::Entered(_) => "mobile-bind would enter the number's account".to_owned(),
        OnTheCopy::Changed(_, Some(_)) => "mobile-bind would change an account's number".to_owned(),
        OnTheCopy::Changed(_, None) => "mobile-bind would give an account the number".to_owned(),
    }
}

fn did(shop: &AtTheShop) -> String {
    let kind = kind_at_the_shop(shop);
    match shop {
        AtTheShop::CarriedOut | AtTheShop::Unclear(_) => kind.to_owned(),
        AtTheShop::Made(id) | AtTheShop::Entered(id) | AtTheShop::Doubled(id) => format!("{kind} ({})", named(*id)),
        AtTheShop::Changed(id, from) => format!("{kind} ({}{})", named(*id), formerly(from.as_ref())),
    }
}

fn would(copy: &OnTheCopy) -> String {
    let kind = kind_on_the_copy(copy);
    match copy {
        OnTheCopy::Refused { .. } | OnTheCopy::Made(_) => kind,
        OnTheCopy::Entered(id) => format!("{kind} ({})", named(*id)),
        OnTheCopy::Changed(id, from) => format!("{kind} ({}{})", named(*id), formerly(from.as_ref())),
    }
}

fn named(id: AccountId) -> String {
    format!("account {}", id.get())
}

fn formerly(from: Option<&Mobile>) -> String {
    from.map(|from| format!(", from {from}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(id: u64) -> AccountId {
        AccountId::new(id).unwrap()
    }

    fn mobile(number: &str) -> Mobile {
        Mobile::restore(number).unwrap()
    }

    fn compared<'a>(mobile: &'a Mobile, shop: &'a AtTheShop, copy: &'a OnTheCopy) -> Compared<'a> {
        Compared { at: Timestamp::from_seconds(1_790_000_000), line: Some(3), mobile, shop, copy }
    }

    #[test]
    fn a_difference_is_told_with_all_that_is_known_of_it() {
        let mut report = Report::default();
        let (number, former) = (mobile("13900000001"), mobile("13900000002"));
        let shop = AtTheShop::Changed(id(7), Some(former));
        let refused = OnTheCopy::Refused { code: -110, text: "no".to_owned() };
        let told = report.count(Verdict::Different, &compared(&number, &shop, &refused)).unwrap();
        assert_eq!(
            told,
            "2026-09-21 14:13:20 UTC  user/appmobilebind  139***001  line 3  the shop changed an account's number (account 7, from \
             139***002); mobile-bind would refuse: -110 no\n"
        );
        let again = compared(&number, &shop, &refused);
        assert!(report.count(Verdict::Different, &again).is_some());
        assert!(report.count(Verdict::Alike, &again).is_none());
        assert!(report.count(Verdict::NotComparable(Unclear::NothingDone), &again).is_none());
        report.pass_over(Unclear::PassedOn);
        let sums = report.told();
        for line in [
            "1 binds of the shop's would be bound here the same way\n",
            "2 different: the shop changed an account's number; mobile-bind would refuse: -110 no\n",
            "1 binds not comparable: the shop did nothing, and whether the code was right is not known\n",
            "1 binds not comparable: the number has passed on at the shop since\n",
        ] {
            assert!(sums.contains(line), "{sums}");
        }
        assert!(!sums.contains("dropped"), "what did not happen is not told: {sums}");
    }

    proptest! {
        #[test]
        fn no_whole_number_is_told(number in "1[3-9][0-9]{9}", former in "1[3-9][0-9]{9}", account in 1_u64..9_999) {
            let (whose, from) = (mobile(&number), Some(mobile(&former)));
            let shop = AtTheShop::Changed(id(account), from.clone());
            let copy = OnTheCopy::Changed(id(account), from);
            let mut report = Report::default();
            let told = report.count(Verdict::Different, &compared(&whose, &shop, &copy)).unwrap() + &report.told();
            prop_assert!(!told.contains(&number) && !told.contains(&former), "{}", told);
        }
    }
}
