//! The layout on disk, format version 3.
//!
//! Everything that was answered stands in one sled 0.34 database, or in the journal beside it (the files `journal.0` and
//! `journal.1`, see `journal/`), which the database is behind by at most its two segments. Entries stand in the default tree
//! in blocks, many together (`blocks.rs`), but for those of kind `00`, which are sled's own entries. All integers in keys, and
//! those in values that are no records, are big-endian. The first byte of a key is its kind:
//!
//! | kind | key after the kind | value |
//! | --- | --- | --- |
//! | `00` meta | the ASCII name `format` | the format version, 4 bytes |
//! | `00` meta | the ASCII name `reached` | the sequence of the last change that is in the database, 8 bytes; the sum of all entries of other kinds (`digest.rs`) after it, 8 bytes |
//! | `01` account | account id, 8 bytes | record `Account` |
//! | `02` number | *part*: the mobile number | account id, 8 bytes |
//! | `03` identity | platform, *part*: app id, *part*: openid | account id, 8 bytes |
//! | `04` unionid | platform, *part*: unionid | account id, 8 bytes |
//! | `05` member code | *part*: the digits | account id, 8 bytes; none where the code is made of that id |
//! | `06` challenge | *part*: mobile number, *client* | record `Challenge` |
//! | `07` receipt | *part*: mobile number, *client* | record `Receipt` |
//! | `08` tally | *subject* | record `Tally` |
//! | `09` session | session id, 16 bytes | record `Session` |
//! | `0a` session of an account | account id, 8 bytes, client type | session id, 16 bytes |
//! | `0b` proof of an openid | proof id, 32 bytes | record `Proof` |
//! | `0c` what is spent | mark, 32 bytes | record `Spent` |
//! | `0d` idempotency key | keyed digest of operation, client and key, 32 bytes | record `Idempotency` |
//! | `10` message | *message* | record `OutboxMessage` |
//! | `11` due message | `01`, when it is due, 8 bytes, *message* | none |
//! | `11` message by reference | `02`, *part*: provider, *part*: the provider's reference | *message* |
//! | `0e` event of the audit | node, 4 bytes, sequence, 8 bytes | the event, as the domain's `audit/encoding.rs` has it |
//! | `0f` checkpoint of the audit | node, 4 bytes, segment, 8 bytes | record `Checkpoint` |
//! | `0f` this store's node | nothing | the node, 4 bytes; from the first event on |
//!
//! - *part*: its length in bytes (2 bytes), then its UTF-8 bytes. The domain's longest has 512.
//! - platform, 1 byte: 1 weixin, 2 alipay, 3 baidu, 4 toutiao, 5 qq, 6 kuaishou.
//! - client type, 1 byte: 1 pc, 2 h5, 3 ios, 4 android; a mini-program is 16 plus its platform.
//! - *client*: `01` and a *part*, the installation's id; or *address*.
//! - *address*: `04` and the 4 bytes of an IPv4 address, or `06` and the 16 bytes of an IPv6 one (a /64, the rest 0).
//! - *message*: *part*: mobile number, the message's id, 16 bytes, which begins with the time.
//! - *subject*: one byte and what is counted: `01` messages to a number (*part*), `02` messages an installation asked for
//!   (*part*), `03` messages an address asked for (*address*), `04` messages of an account (id, 8 bytes), `05` all messages,
//!   `06` wrong codes for a number (*part*), `07` tries without a code (*client*), `08` messages to a block of numbers
//!   (*part*: a number less its last four digits).
//!
//! A record is its revision (8 bytes), then one postcard 1 enum whose variant is the version of the record's shape (`00`:
//! V1). The shapes are in the `records` module. A revision is the commit sequence of the change that wrote the record. The
//! sequence stands in the journal with what it counts, so no revision is ever given twice.
//!
//! Kinds `02` to `05`, `0a` and `11` are indexes. Kinds `02` to `05` lead to live accounts alone, and `0a` to sessions that are
//! there. A new record version keeps the format version as long as an older program may refuse what it cannot read; a
//! change of keys, or of what an older program would silently get wrong, needs a new format version. Formats 1 and 2 were
//! never released, and are refused.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use mobile_bind_domain::conversion::Source;
use mobile_bind_domain::{
    AccountId, AddressBlock, AuditNode, ChallengeKey, Client, ClientType, IdempotencyName, Identity, MemberCode,
    MessageKey, Mobile, Platform, ProofId, SessionId, SpentMark, Subject, Timestamp, UnionId,
};

/// The format version that is written, and the newest that can be read.
pub(crate) const FORMAT: u32 = 3;

pub(crate) const FORMAT_KEY: &[u8] = b"\x00format";
pub(crate) const REACHED_KEY: &[u8] = b"\x00reached";

pub(crate) const ACCOUNT: u8 = 0x01;

pub(crate) const CHALLENGE: u8 = 0x06;
pub(crate) const RECEIPT: u8 = 0x07;
pub(crate) const TALLY: u8 = 0x08;
pub(crate) const SESSION: u8 = 0x09;
pub(crate) const SESSION_OF: u8 = 0x0a;
pub(crate) const PROOF: u8 = 0x0b;
pub(crate) const SPENT: u8 = 0x0c;
pub(crate) const IDEMPOTENCY: u8 = 0x0d;
pub(crate) const AUDIT: u8 = 0x0e;
pub(crate) const CHECKPOINT: u8 = 0x0f;
pub(crate) const MESSAGE: u8 = 0x10;
pub(crate) const MESSAGE_INDEX: u8 = 0x11;

/// What the indexes of messages begin with.
const DUE: [u8; 2] = [MESSAGE_INDEX, 1];
const BY_REFERENCE: [u8; 2] = [MESSAGE_INDEX, 2];

/// The kinds of entries that lead to accounts.
pub(crate) const INDEXES: RangeInclusive<u8> = 0x02..=0x05;

/// The kinds of records that end by themselves, those that stand in a row together.
pub(crate) const ENDING: [RangeInclusive<u8>; 3] = [CHALLENGE..=SESSION, PROOF..=IDEMPOTENCY, MESSAGE..=MESSAGE];

/// The keys of everything but the meta entries.
pub(crate) fn everything() -> Range<Vec<u8>> {
    vec![ACCOUNT]..vec![u8::MAX]
}

/// What an entry is, by its key.
pub(crate) fn name_of(key: &[u8]) -> &'static str {
    const NAMES: [&str; 18] = [
        "meta",
        "accounts",
        "numbers",
        "identities",
        "unionids",
        "member codes",
        "challenges",
        "receipts",
        "tallies",
        "sessions",
        "sessions of accounts",
        "proofs",
        "spent marks",
        "idempotency keys",
        "audit events",
        "audit checkpoints",
        "messages",
        "indexes of messages",
    ];
    key.first().and_then(|&kind| NAMES.get(usize::from(kind)).copied()).unwrap_or("unknown")
}

/// A key that is being put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    fn of_kind(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(kind);
        Self(bytes)
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn fixed<const LENGTH: usize>(mut self, bytes: [u8; LENGTH]) -> Self {
        self.0.extend_from_slice(&bytes);
        self
    }

    fn part(mut self, text: &str) -> Self {
        // The domain limits every text far below; a longer one would only share its length, not its bytes.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn address(self, block: AddressBlock) -> Self {
        match block.first() {
            IpAddr::V4(address) => self.byte(4).fixed(address.octets()),
            IpAddr::V6(address) => self.byte(6).fixed(address.octets()),
        }
    }

    fn client(self, client: &Client) -> Self {
        match client {
            Client::Installation(installation) => self.byte(1).part(installation.as_str()),
            Client::Address(block) => self.address(*block),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

pub(crate) fn account(id: AccountId) -> Key {
    Key::of_kind(ACCOUNT).fixed(id.get().to_be_bytes())
}

/// The keys of all accounts, in the order of their ids; those after one id where it is given.
pub(crate) fn accounts_after(id: Option<AccountId>) -> Range<Vec<u8>> {
    let first = id.map_or(0, |id| id.get() + 1);
    Key::of_kind(ACCOUNT).fixed(first.to_be_bytes()).into_bytes()..vec![0x02]
}

pub(crate) fn by_mobile(mobile: &Mobile) -> Key {
    Key::of_kind(0x02).part(mobile.as_str())
}

pub(crate) fn by_identity(identity: &Identity) -> Key {
    Key::of_kind(0x03)
        .byte(platform_number(identity.platform))
        .part(identity.app.as_str())
        .part(identity.openid.as_str())
}

pub(crate) fn by_unionid(platform: Platform, unionid: &UnionId) -> Key {
    Key::of_kind(0x04).byte(platform_number(platform)).part(unionid.as_str())
}

pub(crate) fn by_member_code(code: &MemberCode) -> Key {
    Key::of_kind(0x05).part(code.as_str())
}

pub(crate) fn challenge(key: &ChallengeKey) -> Key {
    Key::of_kind(CHALLENGE).part(key.mobile.as_str()).client(&key.client)
}

pub(crate) fn receipt(key: &ChallengeKey) -> Key {
    Key::of_kind(RECEIPT).part(key.mobile.as_str()).client(&key.client)
}

pub(crate) fn tally(subject: &Subject) -> Key {
    let key = Key::of_kind(TALLY);
    match subject {
        Subject::SendsTo(mobile) => key.byte(1).part(mobile.as_str()),
        Subject::SendsBy(installation) => key.byte(2).part(installation.as_str()),
        Subject::SendsFrom(block) => key.byte(3).address(*block),
        Subject::SendsOf(account) => key.byte(4).fixed(account.get().to_be_bytes()),
        Subject::Sends => key.byte(5),
        Subject::FailuresOn(mobile) => key.byte(6).part(mobile.as_str()),
        Subject::FailuresBy(client) => key.byte(7).client(client),
        Subject::SendsToRange(range) => key.byte(8).part(range.as_str()),
        Subject::Sent(Source::Country(code)) => key.byte(9).part(code),
        Subject::Sent(Source::Address(block)) => key.byte(10).address(*block),
        Subject::Verified(Source::Country(code)) => key.byte(11).part(code),
        Subject::Verified(Source::Address(block)) => key.byte(12).address(*block),
    }
}

pub(crate) fn idempotency(name: IdempotencyName) -> Key {
    Key::of_kind(IDEMPOTENCY).fixed(name.0)
}

pub(crate) fn session(id: SessionId) -> Key {
    Key::of_kind(SESSION).fixed(id.0)
}

pub(crate) fn session_of(account: AccountId, client_type: ClientType) -> Key {
    sessions_of(account).byte(client_type_number(client_type))
}

pub(crate) fn proof(id: ProofId) -> Key {
    Key::of_kind(PROOF).fixed(id.0)
}

pub(crate) fn spent(mark: SpentMark) -> Key {
    Key::of_kind(SPENT).fixed(mark.0)
}

/// The keys of a kind; those after one key where it is given.
pub(crate) fn kind_after(kind: u8, key: Option<Key>) -> Range<Vec<u8>> {
    // The first key that can come after it.
    let start = key.map_or_else(|| vec![kind], |key| key.byte(0).into_bytes());
    start..vec![kind + 1]
}

/// What the keys of an account's sessions start with.
pub(crate) fn sessions_of(account: AccountId) -> Key {
    Key::of_kind(SESSION_OF).fixed(account.get().to_be_bytes())
}

/// The keys of an account's sessions.
pub(crate) fn all_sessions_of(account: AccountId) -> Range<Vec<u8>> {
    sessions_of(account).into_bytes()..sessions_of(account).byte(u8::MAX).into_bytes()
}

pub(crate) fn audit(node: AuditNode, sequence: u64) -> Key {
    Key::of_kind(AUDIT).fixed(node.0.to_be_bytes()).fixed(sequence.to_be_bytes())
}

pub(crate) fn checkpoint(node: AuditNode, segment: u64) -> Key {
    Key::of_kind(CHECKPOINT).fixed(node.0.to_be_bytes()).fixed(segment.to_be_bytes())
}

/// What says which node this store is.
pub(crate) fn own_node() -> Key {
    Key::of_kind(CHECKPOINT)
}

/// The keys of a node's events.
pub(crate) fn audits_of(node: AuditNode) -> Range<Vec<u8>> {
    audit(node, 0).into_bytes()..audit(node, u64::MAX).byte(0).into_bytes()
}

/// The keys of a node's checkpoints.
pub(crate) fn checkpoints_of(node: AuditNode) -> Range<Vec<u8>> {
    checkpoint(node, 0).into_bytes()..checkpoint(node, u64::MAX).byte(0).into_bytes()
}

/// The node, and the sequence or segment, that a key names.
pub(crate) fn audit_of(key: &[u8]) -> Option<(AuditNode, u64)> {
    let (&[_, a, b, c, d], rest) = key.split_first_chunk()?;
    Some((AuditNode(u32::from_be_bytes([a, b, c, d])), u64::from_be_bytes(rest.try_into().ok()?)))
}

impl Key {
    fn message(self, key: &MessageKey) -> Self {
        self.part(key.mobile.as_str()).fixed(key.id.0)
    }
}

pub(crate) fn message(key: &MessageKey) -> Key {
    Key::of_kind(MESSAGE).message(key)
}

/// The key of the message that an index leads to.
pub(crate) fn message_at(name: &[u8]) -> Vec<u8> {
    [&[MESSAGE], name].concat()
}

/// The keys of all messages to a number, in the order of time.
pub(crate) fn messages_to(mobile: &Mobile) -> Range<Vec<u8>> {
    let all = Key::of_kind(MESSAGE).part(mobile.as_str()).into_bytes();
    let end = [&all[..], &[u8::MAX; 17]].concat();
    all..end
}

pub(crate) fn due_message(due: Timestamp, key: &MessageKey) -> Key {
    due_from(due).message(key)
}

fn due_from(due: Timestamp) -> Key {
    Key::of_kind(DUE[0]).byte(DUE[1]).fixed(due.as_millis().to_be_bytes())
}

/// The keys of what leads to messages that are due by then.
pub(crate) fn due_by(now: Timestamp) -> Range<Vec<u8>> {
    DUE.to_vec()..due_from(now.after(std::time::Duration::from_millis(1))).into_bytes()
}

/// What such a key leads to, in the form that [`message_at`] takes.
pub(crate) fn due_name(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&DUE).and_then(|rest| rest.get(8..))
}

pub(crate) fn message_by_reference(provider: &str, reference: &str) -> Key {
    Key::of_kind(BY_REFERENCE[0]).byte(BY_REFERENCE[1]).part(provider).part(reference)
}

pub(crate) const fn platform_number(platform: Platform) -> u8 {
    match platform {
        Platform::Weixin => 1,
        Platform::Alipay => 2,
        Platform::Baidu => 3,
        Platform::Toutiao => 4,
        Platform::Qq => 5,
        Platform::Kuaishou => 6,
    }
}

pub(crate) fn platform_of(number: u8) -> Option<Platform> {
    Platform::ALL.into_iter().find(|&platform| platform_number(platform) == number)
}

pub(crate) const fn client_type_number(client_type: ClientType) -> u8 {
    match client_type {
        ClientType::Pc => 1,
        ClientType::H5 => 2,
        ClientType::Ios => 3,
        ClientType::Android => 4,
        ClientType::MiniProgram(platform) => 16 + platform_number(platform),
    }
}

pub(crate) fn client_type_of(number: u8) -> Option<ClientType> {
    ClientType::ALL.into_iter().find(|&client_type| client_type_number(client_type) == number)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use mobile_bind_domain::conversion::Source;
    use mobile_bind_domain::{
        AccountId, AppId, AuditNode, ChallengeKey, Client, ClientType, IdempotencyName, Identity, Installation,
        MemberCode, Mobile, OpenId, Platform, ProofId, SessionId, SpentMark, Subject, UnionId,
    };
    use proptest::prelude::*;

    use super::{ACCOUNT, CHECKPOINT, Key, MESSAGE, MESSAGE_INDEX, SESSION, name_of};

    /// What a key is the name of.
    #[derive(Clone, Debug, PartialEq)]
    enum Named {
        Account(AccountId),
        Number(Mobile),
        Identity(Identity),
        UnionId(Platform, UnionId),
        Challenge(ChallengeKey),
        Receipt(ChallengeKey),
        Tally(Subject),
        Session(SessionId),
        SessionOf(AccountId, ClientType),
        Proof(ProofId),
        Spent(SpentMark),
        Idempotency(IdempotencyName),
    }

    impl Named {
        fn key(&self) -> Key {
            match self {
                Self::Account(id) => super::account(*id),
                Self::Number(mobile) => super::by_mobile(mobile),
                Self::Identity(identity) => super::by_identity(identity),
                Self::UnionId(platform, unionid) => super::by_unionid(*platform, unionid),
                Self::Challenge(key) => super::challenge(key),
                Self::Receipt(key) => super::receipt(key),
                Self::Tally(subject) => super::tally(subject),
                Self::Session(id) => super::session(*id),
                Self::SessionOf(id, client_type) => super::session_of(*id, *client_type),
                Self::Proof(id) => super::proof(*id),
                Self::Spent(mark) => super::spent(*mark),
                Self::Idempotency(name) => super::idempotency(*name),
            }
        }
    }

    /// Texts of few, odd characters: most likely to run into one another.
    fn text() -> impl Strategy<Value = String> {
        "[\u{0}\u{1}\u{2}a:]{1,4}"
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
    }

    fn named() -> impl Strategy<Value = Named> {
        let id = || (1_u64..4).prop_map(|id| AccountId::new(id).unwrap());
        let mobile = || text().prop_map(|text| Mobile::restore(&text).unwrap());
        let installation = || text().prop_map(|text| Installation::new(&text).unwrap());
        let platform = || prop::sample::select(&Platform::ALL[..]);
        let source = || {
            prop_oneof![
                text().prop_map(|code| Source::Country(code.into())),
                address().prop_map(|address| Source::Address(address.into())),
            ]
        };
        let client = move || {
            prop_oneof![
                installation().prop_map(Client::Installation),
                address().prop_map(|address| Client::Address(address.into())),
            ]
        };
        let challenge = move || (mobile(), client()).prop_map(|(mobile, client)| ChallengeKey { mobile, client });
        let identity = (platform(), text(), text()).prop_map(|(platform, app, openid)| Identity {
            platform,
            app: AppId::new(&app).unwrap(),
            openid: OpenId::new(&openid).unwrap(),
        });
        let subject = prop_oneof![
            mobile().prop_map(Subject::SendsTo),
            installation().prop_map(Subject::SendsBy),
            address().prop_map(|address| Subject::SendsFrom(address.into())),
            id().prop_map(Subject::SendsOf),
            Just(Subject::Sends),
            mobile().prop_map(Subject::FailuresOn),
            client().prop_map(Subject::FailuresBy),
            "[0-9]{4,7}".prop_map(|text| Subject::SendsToRange(Mobile::restore(&text).unwrap().range())),
            source().prop_map(Subject::Sent),
            source().prop_map(Subject::Verified),
        ];
        prop_oneof![
            id().prop_map(Named::Account),
            mobile().prop_map(Named::Number),
            identity.prop_map(Named::Identity),
            (platform(), text())
                .prop_map(|(platform, unionid)| Named::UnionId(platform, UnionId::new(&unionid).unwrap())),
            challenge().prop_map(Named::Challenge),
            challenge().prop_map(Named::Receipt),
            subject.prop_map(Named::Tally),
            any::<[u8; 16]>().prop_map(|id| Named::Session(SessionId(id))),
            (id(), prop::sample::select(&ClientType::ALL[..]))
                .prop_map(|(id, client_type)| Named::SessionOf(id, client_type)),
            (0_u8..2).prop_map(|byte| Named::Proof(ProofId([byte; 32]))),
            (0_u8..2).prop_map(|byte| Named::Spent(SpentMark([byte; 32]))),
            any::<[u8; 32]>().prop_map(|name| Named::Idempotency(IdempotencyName(name))),
        ]
    }

    proptest! {
        #[test]
        fn different_things_have_different_keys(names in prop::collection::vec(named(), 2..40)) {
            for (index, name) in names.iter().enumerate() {
                for other in &names[..index] {
                    prop_assert_eq!(name == other, name.key() == other.key(), "{:?} {:?}", name, other);
                }
            }
        }
    }

    #[test]
    fn the_audits_keys_are_as_the_header_says() {
        let key = super::audit(AuditNode(0x8000_0001), 0x0203);
        assert_eq!(key.as_bytes(), b"\x0e\x80\0\0\x01\0\0\0\0\0\0\x02\x03");
        assert_eq!(super::audit_of(key.as_bytes()), Some((AuditNode(0x8000_0001), 0x0203)));
        assert_eq!(super::checkpoint(AuditNode(1), 7).as_bytes(), b"\x0f\0\0\0\x01\0\0\0\0\0\0\0\x07");
        assert_eq!((super::own_node().as_bytes(), super::audit_of(b"\x0f")), (&b"\x0f"[..], None));
    }

    #[test]
    fn parts_do_not_run_into_one_another() {
        let identity = |app: &str, openid: &str| {
            super::by_identity(&Identity {
                platform: Platform::Weixin,
                app: AppId::new(app).unwrap(),
                openid: OpenId::new(openid).unwrap(),
            })
        };
        assert_ne!(identity("ab", "c"), identity("a", "bc"));
        assert_ne!(identity("", "abc"), identity("abc", "c"));
    }

    /// The indexes hold no records, so no fixture has them.
    #[test]
    fn index_keys_are_as_the_header_says() {
        let mobile = Mobile::restore("13").unwrap();
        assert_eq!(super::by_mobile(&mobile).as_bytes(), b"\x02\0\x0213");
        let app = AppId::new("ap").unwrap();
        let identity = Identity { platform: Platform::Qq, app, openid: OpenId::new("o").unwrap() };
        assert_eq!(super::by_identity(&identity).as_bytes(), b"\x03\x05\0\x02ap\0\x01o");
        let unionid = UnionId::new("u").unwrap();
        assert_eq!(super::by_unionid(Platform::Weixin, &unionid).as_bytes(), b"\x04\x01\0\x01u");
        let code = MemberCode::new("88").unwrap();
        assert_eq!(super::by_member_code(&code).as_bytes(), b"\x05\0\x0288");
        let session = super::session_of(AccountId::MIN, ClientType::MiniProgram(Platform::Kuaishou));
        assert_eq!(session.as_bytes(), b"\x0a\0\0\0\0\0\0\0\x01\x16");
    }

    #[test]
    fn numbers_of_platforms_and_client_types_are_read_back() {
        for platform in Platform::ALL {
            assert_eq!(super::platform_of(super::platform_number(platform)), Some(platform));
        }
        for client_type in ClientType::ALL {
            assert_eq!(super::client_type_of(super::client_type_number(client_type)), Some(client_type));
        }
        assert_eq!((super::platform_of(0), super::client_type_of(0)), (None, None));
    }

    #[test]
    fn every_kind_has_its_name() {
        let named =
            [(ACCOUNT, "accounts"), (SESSION, "sessions"), (CHECKPOINT, "audit checkpoints"), (MESSAGE, "messages")];
        for (kind, name) in named {
            assert_eq!(name_of(&[kind]), name);
        }
        assert_eq!((name_of(&[MESSAGE_INDEX]), name_of(&[MESSAGE_INDEX + 1])), ("indexes of messages", "unknown"));
    }
}
