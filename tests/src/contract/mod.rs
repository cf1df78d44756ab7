//! What every store must do: one case for each behaviour that the store port documents. To hold a new store to it,
//! implement [`StoreUnderTest`] and name it in `store_contract!`, in `tests/tests/store_contract.rs`.

pub mod accounts;
pub mod audit;
pub mod challenges;
pub mod changing_hands;
pub mod claims;
pub mod commits;
pub mod counts;
pub mod idempotency;
pub mod memory;
pub mod messages;
pub mod postgres;
pub mod proofs;
pub mod races;
pub mod records;
pub mod sessions;
pub mod shopxo;
pub mod sled;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{AccountId, Timestamp};

/// What the records of accounts can hold, where a store keeps them in somebody else's columns.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest id of an account.
    pub largest_id: u64,
    /// The numbers that points and birthdays can be.
    pub amounts: RangeInclusive<i64>,
    /// What the times of an account are exact to.
    pub precision: Duration,
}

impl Limits {
    /// All that the domain can say.
    pub const WIDEST: Self =
        Self { largest_id: AccountId::MAX.get(), amounts: i64::MIN..=i64::MAX, precision: Duration::from_millis(1) };

    /// A point in time, as exact as it is kept.
    #[must_use]
    pub fn time(&self, at: Timestamp) -> Timestamp {
        at.before(Duration::from_millis(at.as_millis() % u64::try_from(self.precision.as_millis()).unwrap_or(1)))
    }
}

/// A store that a case can open.
#[async_trait]
pub trait StoreUnderTest: Send + Sync {
    /// What accounts may be held to. A case goes to these limits.
    fn limits(&self) -> Limits {
        Limits::WIDEST
    }

    /// A store with nothing in it.
    ///
    /// # Errors
    /// Where there is no place for it.
    fn empty() -> anyhow::Result<Self>
    where
        Self: Sized;

    /// Opens the store, with what it held when it was closed. Only one is open at a time.
    ///
    /// # Errors
    /// Where it cannot be opened.
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>>;
}

/// Closes a store and opens it again.
///
/// # Errors
/// Where it cannot be closed or opened.
pub async fn reopen(under_test: &dyn StoreUnderTest, store: Arc<dyn Store>) -> anyhow::Result<Arc<dyn Store>> {
    store.close().await?;
    drop(store);
    under_test.open().await
}

/// One test for each case of the contract. `$under_test` is a [`StoreUnderTest`].
#[macro_export]
macro_rules! store_contract {
    ($under_test:ty) => {
        $crate::store_contract! { @cases $under_test;
            accounts::what_was_never_stored_is_absent
            accounts::an_account_is_read_as_it_was_stored
            accounts::an_account_is_written_only_as_it_was_read
            accounts::accounts_are_listed_in_the_order_of_their_ids
            accounts::only_a_disabled_account_is_enabled
            accounts::ids_are_allotted_once
            accounts::ids_are_allotted_after_those_that_are_stored
            claims::every_holder_is_found
            claims::a_number_is_claimed_once
            claims::an_openid_is_claimed_once
            claims::a_unionid_is_claimed_once
            claims::a_member_code_is_claimed_once
            claims::the_same_openid_elsewhere_is_another_identity
            claims::letter_case_counts
            claims::what_is_let_go_is_free
            claims::deleted_and_closed_accounts_hold_nothing
            claims::a_deleted_account_claims_again_when_it_is_restored
            claims::a_change_may_pass_a_number_on
            claims::referrers_are_found_by_every_name
            challenges::a_challenge_is_written_only_as_it_was_read
            challenges::a_removed_challenge_never_looks_unchanged
            challenges::challenges_are_kept_apart_by_number_and_client
            challenges::a_receipt_is_kept_for_number_and_client
            sessions::opening_replaces_the_session_of_that_client_type
            sessions::sessions_of_several_accounts_are_found_together
            sessions::a_session_is_used_and_ended
            sessions::what_happens_to_an_absent_session_is_nothing
            sessions::an_expected_session_may_be_replaced_in_the_same_change
            sessions::a_session_shows_its_account_as_it_is_now
            commits::a_change_is_committed_whole_or_not_at_all
            commits::expectations_alone_are_checked
            commits::an_empty_change_is_committed
            commits::everything_is_there_when_opened_again
            commits::revisions_are_not_given_again_when_opened_again
            commits::a_closed_store_takes_no_change
            commits::what_has_ended_is_forgotten_and_nothing_else
            commits::a_forgotten_challenge_never_looks_unchanged
            counts::a_kept_quota_without_room_is_a_conflict
            counts::a_watched_quota_may_be_overrun
            counts::an_event_is_taken_back
            counts::many_events_are_counted_at_once
            counts::subjects_are_counted_apart
            counts::a_send_loads_what_is_counted_for_it
            audit::events_stand_in_the_order_of_their_changes
            audit::events_are_found_by_their_number
            audit::a_segment_is_sealed_once
            audit::an_old_segment_is_dropped
            audit::an_accounts_sessions_end_at_once
            audit::a_number_leads_to_its_account
            changing_hands::a_bind_knows_when_the_holder_was_seen_and_what_was_sent_to_the_former_number
            changing_hands::a_number_passes_to_another_account_in_one_change
            proofs::a_proof_is_read_as_it_was_stored
            proofs::use_lets_a_proof_count_longer
            proofs::a_mark_is_spent_once
            proofs::one_of_many_spends_a_mark
            proofs::proofs_and_marks_are_listed
            proofs::ended_proofs_and_marks_are_forgotten
            proofs::a_log_in_finds_who_holds_what
            messages::a_message_is_read_as_it_was_stored
            messages::a_message_is_written_only_as_it_was_read
            messages::a_message_and_its_challenge_are_one_change
            messages::messages_to_a_number_come_newest_first
            messages::all_messages_are_gone_through
            messages::a_message_that_is_over_is_found_by_its_references_too
            messages::what_is_due_comes_in_its_order_while_it_is
            messages::a_message_is_found_by_every_reference
            messages::messages_are_forgotten_with_what_leads_to_them
            messages::one_of_many_takes_a_message
            idempotency::a_request_is_recorded_once
            idempotency::what_became_of_a_request_is_found_by_its_name
            idempotency::one_of_many_requests_with_a_key_is_recorded
            idempotency::a_spent_key_is_forgotten
            idempotency::a_window_is_forgotten
            idempotency::what_is_reserved_is_kept_from_strangers
            races::one_of_many_claims_of_a_number_wins
            races::one_of_many_claims_of_an_openid_wins
            races::a_challenge_is_used_once
            races::ids_allotted_at_once_differ
            races::a_kept_quota_holds_against_many
            races::many_changes_of_different_records_all_succeed
        }
    };
    (@cases $under_test:ty; $($module:ident::$case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() -> anyhow::Result<()> {
                let under_test = <$under_test as $crate::contract::StoreUnderTest>::empty()?;
                $crate::contract::$module::$case(&under_test).await
            }
        )*
    };
}
