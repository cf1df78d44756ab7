//! What the shop did with a bind, and what mobile-bind did with it on the copy: the same or not. Pure.

use mobile_bind_domain::{AccountId, Mobile, Timestamp};
use mobile_bind_shopxo::SeenAccount;

/// A bind that PHP carries out is in its rows no later than so many seconds after the request came.
const CARRIED_OUT_WITHIN_S: u64 = 60;

/// What the shop did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AtTheShop {
    /// It answered with a user; what it did besides, nobody has looked at.
    CarriedOut,
    /// The number is with a new account.
    Made(AccountId),
    /// The account that had the number was logged in.
    Entered(AccountId),
    /// An account that had another number, or none, has this one.
    Changed(AccountId, Option<Mobile>),
    /// The number is with several accounts, of which this one is new or was written just then.
    Doubled(AccountId),
    /// It cannot be told.
    Unclear(Unclear),
}

/// Why it cannot be told what the shop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unclear {
    /// Nothing was done that shows: PHP refused, and the code that was typed is not known here.
    NothingDone,
    /// Nobody has the number any more, or somebody who came later.
    PassedOn,
    /// The copy does not know the account, so it is not known what that was before.
    NotInTheCopy,
    /// Several accounts with the number were written at the time.
    Several,
    /// Its database did not answer.
    NotLookedAt,
}

impl Unclear {
    pub(crate) const fn told(self) -> &'static str {
        match self {
            Self::NothingDone => "the shop did nothing, and whether the code was right is not known",
            Self::PassedOn => "the number has passed on at the shop since",
            Self::NotInTheCopy => "the shop's account is not in the copy",
            Self::Several => "several accounts with the number were written at the time",
            Self::NotLookedAt => "the shop's database did not answer",
        }
    }
}

/// What mobile-bind did on the copy, by the copy's ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OnTheCopy {
    Refused { code: i64, text: String },
    Made(AccountId),
    Entered(AccountId),
    Changed(AccountId, Option<Mobile>),
}

/// What came of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alike,
    Different,
    NotComparable(Unclear),
}

/// A bind, as far as what the shop did with it depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) at: Timestamp,
    pub(crate) mobile: &'a Mobile,
    /// Whether PHP answered with a user; `None` where nobody saw the answer.
    pub(crate) answered_with_user: Option<bool>,
}

/// Whether the shop made the account for a request that came then.
fn is_made_by(request: &Request<'_>, holder: &SeenAccount) -> bool {
    let (made, at) = (holder.account.added_at.as_seconds(), request.at.as_seconds());
    (at..=at.saturating_add(CARRIED_OUT_WITHIN_S)).contains(&made)
}

/// What the shop did with a bind, by who has the number now. `in_the_copy` is the number that an account of the shop's had before:
/// the outer `None` where the copy does not know the account.
pub(crate) fn at_the_shop(
    request: &Request<'_>,
    holders: &[SeenAccount],
    in_the_copy: impl Fn(AccountId) -> Option<Option<Mobile>>,
) -> AtTheShop {
    if request.answered_with_user == Some(false) {
        return AtTheShop::Unclear(Unclear::NothingDone);
    }
    let since = request.at.as_seconds();
    let mut written = holders.iter().filter(|holder| holder.changed_at().as_seconds() >= since);
    let (first, others) = (written.next(), written.count());
    let Some(holder) = first.filter(|_| others == 0) else {
        return match (others, request.answered_with_user) {
            (0, None) => AtTheShop::Unclear(Unclear::NothingDone),
            (0, Some(_)) => AtTheShop::Unclear(Unclear::PassedOn),
            _ => AtTheShop::Unclear(Unclear::Several),
        };
    };
    let id = holder.account.id;
    if holders.len() > 1 {
        return AtTheShop::Doubled(id);
    }
    if is_made_by(request, holder) {
        return AtTheShop::Made(id);
    }
    if holder.account.added_at.as_seconds() > since {
        return AtTheShop::Unclear(Unclear::PassedOn);
    }
    match in_the_copy(id) {
        None => AtTheShop::Unclear(Unclear::NotInTheCopy),
        Some(Some(before)) if before == *request.mobile => AtTheShop::Entered(id),
        Some(before) => AtTheShop::Changed(id, before),
    }
}

/// Whether both did the same. `counterpart` is the copy's id of the shop's account.
pub(crate) fn compare(
    shop: &AtTheShop,
    copy: &OnTheCopy,
    counterpart: impl Fn(AccountId) -> Option<AccountId>,
) -> Verdict {
    let same = |shop: &AccountId, copy: &AccountId| counterpart(*shop) == Some(*copy);
    let alike = match (shop, copy) {
        (AtTheShop::Unclear(why), _) => return Verdict::NotComparable(*why),
        (_, OnTheCopy::Refused { .. }) | (AtTheShop::Doubled(_), _) => false,
        (AtTheShop::CarriedOut, _) | (AtTheShop::Made(_), OnTheCopy::Made(_)) => true,
        (AtTheShop::Entered(shop), OnTheCopy::Entered(copy))
        | (AtTheShop::Changed(shop, _), OnTheCopy::Changed(copy, _)) => same(shop, copy),
        (AtTheShop::Made(_) | AtTheShop::Entered(_) | AtTheShop::Changed(..), _) => false,
    };
    if alike { Verdict::Alike } else { Verdict::Different }
}

#[cfg(test)]
mod tests;
